import Foundation
import SqueezeSAMCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// An ONNX artifact, run by ONNX Runtime's shared library.
///
/// The library is opened when it is needed, so that building this needs none of it. Its C API is
/// a table of functions that only grows at its end; `Entry` names the places that are used.
final class OnnxRuntimeBackend: Backend, @unchecked Sendable {
    let metadata: ArtifactMetadata
    private let api: Api
    private let environment: OpaquePointer
    private let session: OpaquePointer
    private let memory: OpaquePointer

    /// - Throws: `SegmentationError`: the library or the model cannot be opened.
    init(model: URL, library: String) throws {
        let api = try Api(library: library)
        let environment = try api.make { out in
            api[.createEnv, Functions.CreateEnv.self](3, "squeezesam", out)
        }
        let options = try api.make { out in
            api[.createSessionOptions, Functions.Create.self](out)
        }
        #if arch(x86_64)
        // Without VNNI the usual kernels cut sums of products off at 16 bits.
        try api.check(
            api[.addSessionConfigEntry, Functions.AddConfigEntry.self](
                options, "session.x64quantprecision", "1"))
        #endif
        let session = try api.make { out in
            api[.createSession, Functions.CreateSession.self](environment, model.path, options, out)
        }
        api[.releaseSessionOptions, Functions.Release.self](options)
        let memory = try api.make { out in
            api[.createCpuMemoryInfo, Functions.CreateMemoryInfo.self](0, 0, out)
        }
        guard let text = try api.metadata(of: session, key: ArtifactMetadata.key) else {
            throw SegmentationError.artifact("\(model.path) carries no metadata of this project")
        }
        metadata = try ArtifactMetadata(json: Data(text.utf8), source: model.path)
        (self.api, self.environment, self.session, self.memory) = (
            api, environment, session, memory
        )
    }

    deinit {
        api[.releaseSession, Functions.Release.self](session)
        api[.releaseMemoryInfo, Functions.Release.self](memory)
        api[.releaseEnv, Functions.Release.self](environment)
    }

    func run(_ inputs: [Tensor]) throws -> [String: [Float]] {
        let buffers = inputs.map { input in
            let buffer = UnsafeMutableRawBufferPointer.allocate(
                byteCount: input.bytes.count, alignment: 64)
            buffer.copyBytes(from: input.bytes)
            return buffer
        }
        defer { for buffer in buffers { buffer.deallocate() } }
        var values: [OpaquePointer?] = []
        defer { for value in values { api[.releaseValue, Functions.Release.self](value) } }
        for (input, buffer) in zip(inputs, buffers) {
            values.append(try value(input.spec, buffer))
        }
        let names = metadata.outputs.map(\.name)
        var outputs = [OpaquePointer?](repeating: nil, count: names.count)
        defer { for output in outputs { api[.releaseValue, Functions.Release.self](output) } }
        try withCStrings(inputs.map(\.spec.name)) { inputNames in
            try withCStrings(names) { outputNames in
                try api.check(
                    api[.run, Functions.Run.self](
                        session, nil, inputNames, values, values.count, outputNames, names.count,
                        &outputs))
            }
        }
        return Dictionary(
            uniqueKeysWithValues: try zip(metadata.outputs, outputs).map { spec, output in
                (spec.name, try floats(output, count: spec.count))
            })
    }

    /// A tensor over bytes that outlive it.
    private func value(
        _ spec: TensorSpec, _ buffer: UnsafeMutableRawBufferPointer
    ) throws -> OpaquePointer {
        let shape = spec.shape.map { Int64($0) }
        let type: Int32 = [.float32: 1, .uint8: 2, .int8: 3][spec.dtype] ?? 0
        return try api.make { out in
            api[.createTensorWithData, Functions.CreateTensor.self](
                memory, buffer.baseAddress, buffer.count, shape, shape.count, type, out)
        }
    }

    private func floats(_ value: OpaquePointer?, count: Int) throws -> [Float] {
        var data: UnsafeMutableRawPointer?
        try api.check(api[.getTensorMutableData, Functions.GetData.self](value, &data))
        guard let data else { throw SegmentationError.artifact("an output is empty") }
        return Array(
            UnsafeBufferPointer(start: data.assumingMemoryBound(to: Float.self), count: count))
    }
}

private func withCStrings<Result>(
    _ strings: [String], _ body: ([UnsafePointer<CChar>?]) throws -> Result
) rethrows -> Result {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return try body(copies.map { UnsafePointer($0) })
}

/// Places in ONNX Runtime's table of functions.
private enum Entry: Int {
    case getErrorMessage = 2
    case createEnv = 3
    case createSession = 7
    case run = 9
    case createSessionOptions = 10
    case createTensorWithData = 49
    case getTensorMutableData = 51
    case createCpuMemoryInfo = 69
    case allocatorFree = 76
    case getAllocator = 78
    case releaseEnv = 92
    case releaseStatus = 93
    case releaseMemoryInfo = 94
    case releaseSession = 95
    case releaseValue = 96
    case releaseSessionOptions = 100
    case sessionGetModelMetadata = 111
    case lookupMetadata = 116
    case releaseModelMetadata = 118
    case addSessionConfigEntry = 130
}

private typealias Out = UnsafeMutablePointer<OpaquePointer?>

private enum Functions {
    typealias Create = @convention(c) (Out?) -> OpaquePointer?
    typealias CreateEnv = @convention(c) (Int32, UnsafePointer<CChar>?, Out?) -> OpaquePointer?
    typealias CreateSession =
        @convention(c) (OpaquePointer?, UnsafePointer<CChar>?, OpaquePointer?, Out?) ->
        OpaquePointer?
    typealias AddConfigEntry =
        @convention(c) (OpaquePointer?, UnsafePointer<CChar>?, UnsafePointer<CChar>?) ->
        OpaquePointer?
    typealias CreateMemoryInfo = @convention(c) (Int32, Int32, Out?) -> OpaquePointer?
    typealias CreateTensor =
        @convention(c) (
            OpaquePointer?, UnsafeMutableRawPointer?, Int, UnsafePointer<Int64>?, Int, Int32, Out?
        ) -> OpaquePointer?
    typealias Run =
        @convention(c) (
            OpaquePointer?, OpaquePointer?, UnsafePointer<UnsafePointer<CChar>?>?,
            UnsafePointer<OpaquePointer?>?, Int, UnsafePointer<UnsafePointer<CChar>?>?, Int, Out?
        ) -> OpaquePointer?
    typealias GetData =
        @convention(c) (OpaquePointer?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?) ->
        OpaquePointer?
    typealias Get = @convention(c) (OpaquePointer?, Out?) -> OpaquePointer?
    typealias Lookup =
        @convention(c) (
            OpaquePointer?, OpaquePointer?, UnsafePointer<CChar>?,
            UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        ) -> OpaquePointer?
    typealias Free = @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> OpaquePointer?
    typealias Message = @convention(c) (OpaquePointer?) -> UnsafePointer<CChar>?
    typealias Release = @convention(c) (OpaquePointer?) -> Void
}

private struct Api {
    private let table: UnsafePointer<UnsafeRawPointer?>

    init(library: String) throws {
        guard let handle = dlopen(library, RTLD_NOW | RTLD_LOCAL),
            let symbol = dlsym(handle, "OrtGetApiBase")
        else {
            let reason = dlerror().map { String(cString: $0) } ?? "no reason given"
            throw SegmentationError.device("\(library) is not ONNX Runtime: \(reason)")
        }
        typealias GetBase = @convention(c) () -> UnsafePointer<UnsafeRawPointer?>?
        typealias GetApi = @convention(c) (UInt32) -> UnsafePointer<UnsafeRawPointer?>?
        guard let base = unsafeBitCast(symbol, to: GetBase.self)(), let getApi = base[0],
            let table = unsafeBitCast(getApi, to: GetApi.self)(11)
        else { throw SegmentationError.device("\(library) is older than ONNX Runtime 1.11") }
        self.table = table
    }

    subscript<Function>(entry: Entry, type: Function.Type) -> Function {
        unsafeBitCast(table[entry.rawValue], to: type)
    }

    func check(_ status: OpaquePointer?) throws {
        guard let status else { return }
        let message = self[.getErrorMessage, Functions.Message.self](status)
        let text = message.map { String(cString: $0) } ?? "ONNX Runtime failed"
        self[.releaseStatus, Functions.Release.self](status)
        throw SegmentationError.artifact(text)
    }

    func make(_ body: (Out) -> OpaquePointer?) throws -> OpaquePointer {
        var made: OpaquePointer?
        try check(body(&made))
        guard let made else { throw SegmentationError.device("ONNX Runtime made nothing") }
        return made
    }

    func metadata(of session: OpaquePointer, key: String) throws -> String? {
        let metadata = try make { out in
            self[.sessionGetModelMetadata, Functions.Get.self](session, out)
        }
        defer { self[.releaseModelMetadata, Functions.Release.self](metadata) }
        let allocator = try make { out in self[.getAllocator, Functions.Create.self](out) }
        var value: UnsafeMutablePointer<CChar>?
        try check(self[.lookupMetadata, Functions.Lookup.self](metadata, allocator, key, &value))
        guard let value else { return nil }
        defer { _ = self[.allocatorFree, Functions.Free.self](allocator, value) }
        return String(cString: value)
    }
}
