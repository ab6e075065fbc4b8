import Foundation
import SqueezeSAMCore
import SqueezeSAMVectors

#if canImport(CoreML)
import SqueezeSAMCoreML
#endif

/// The command line: 0 done, 1 a check failed, 2 wrong usage, 3 it could not be done.
@main
struct Command {
    static let usage = """
        usage: squeezesam cut PHOTO --model FILE [--saliency FILE] [--click X,Y]...
                   [--background X,Y]... [--box X0,Y0,X1,Y1] [--output FILE] [--library FILE]
               squeezesam verify VECTORS [--model FILE]... [--library FILE]
               squeezesam inspect MODELS

        cut      writes PHOTO's object as a PNG with transparency; without click and box it is
                 what stands out, which needs --saliency
        verify   checks this library against the project's vectors, and models against theirs
        inspect  lists the models of a folder with a manifest, and compares their SHA-256

        A model is an .onnx file, which needs ONNX Runtime's library (--library, or the variable
        SQSAM_ONNXRUNTIME), or, on a Mac, an .mlpackage.
        """

    static func main() async {
        do {
            try await run(Array(CommandLine.arguments.dropFirst()))
        } catch let error as SegmentationError {
            complain("\(error)")
            exit(error.kind == .usage ? 2 : 3)
        } catch {
            complain("\(error)")
            exit(3)
        }
    }

    private static func run(_ words: [String]) async throws {
        switch words.first {
        case "cut": try await cut(try Options(words, take: cutOptions))
        case "verify": try await verify(try Options(words, take: ["--model", "--library"]))
        case "inspect": try inspect(try Options(words, take: []))
        case "--help", "-h": print(usage)
        default: throw SegmentationError.usage(usage)
        }
    }

    private static let cutOptions: Set = [
        "--model", "--saliency", "--click", "--background", "--box", "--output", "--library",
    ]

    private static func cut(_ options: Options) async throws {
        let path = URL(fileURLWithPath: try options.only("PHOTO"))
        guard let model = options.last("--model") else {
            throw SegmentationError.usage("say with --model what cuts")
        }
        let library = options.last("--library")
        var saliency: (any Backend)?
        if let path = options.last("--saliency") {
            saliency = try await openBackend(path, library: library)
        }
        let segmenter = try Segmenter(
            try await openBackend(model, library: library), saliency: saliency)
        let photo = try readPhoto(path)
        let image = try await segmenter.image(photo)
        let prompt = try options.prompt()
        let mask = prompt.isEmpty ? try await image.mask() : try await image.mask(for: prompt)
        let stem = path.deletingPathExtension().lastPathComponent
        let output = URL(fileURLWithPath: options.last("--output") ?? "\(stem)-cutout.png")
        try png(rgba: mask.cutout(of: photo), width: photo.width, height: photo.height)
            .write(to: output, options: .atomic)
        let share = Double(mask.area) / Double(photo.width * photo.height) * 100
        print(
            "\(output.path): \(mask.area) pixels (\(String(format: "%.1f", share))%), "
                + "predicted IoU \(String(format: "%.3f", mask.predictedIoU))")
    }

    private static func verify(_ options: Options) async throws {
        let suite = VectorSuite(folder: URL(fileURLWithPath: try options.only("VECTORS")))
        var outcomes = try suite.run()
        for path in options.all("--model") {
            let backend = try await openBackend(path, library: options.last("--library"))
            let own = try await suite.run(backend)
            if own.isEmpty { complain("\(path): there is no end-to-end case for it") }
            outcomes += own
        }
        for topic in outcomes.map(\.topic).reduced() {
            let own = outcomes.filter { $0.topic == topic }
            print("\(topic): \(own.filter { $0.failure == nil }.count) of \(own.count)")
        }
        let failed = outcomes.filter { $0.failure != nil }
        for outcome in failed { complain("\(outcome.name): \(outcome.failure ?? "")") }
        if !failed.isEmpty { exit(1) }
    }

    private static func inspect(_ options: Options) throws {
        let package = try ModelPackage(folder: URL(fileURLWithPath: try options.only("MODELS")))
        var differing = 0
        for model in package.models {
            let sound = try artifactDigest(model.url) == model.sha256
            if !sound { differing += 1 }
            let metadata = model.metadata
            print(
                "\(model.url.lastPathComponent): \(metadata.task.rawValue), "
                    + "\(metadata.imageSize) pixels, needs \(model.minimumRuntime), "
                    + (sound ? "as the manifest says" : "NOT the file of the manifest"))
        }
        if differing > 0 { exit(1) }
    }
}

private func complain(_ text: String) {
    FileHandle.standardError.write(Data("squeezesam: \(text)\n".utf8))
}

extension Array where Element: Hashable {
    /// Each element once, in the order of its first appearance.
    fileprivate func reduced() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}

private func openBackend(_ path: String, library: String?) async throws -> any Backend {
    let file = URL(fileURLWithPath: path)
    #if canImport(CoreML)
    if file.pathExtension == "mlpackage" {
        return try await CoreMLBackend(package: file)
    }
    #endif
    guard file.pathExtension == "onnx" else {
        throw SegmentationError.usage("\(path) is no model that runs here: give an .onnx file")
    }
    let named = library ?? ProcessInfo.processInfo.environment["SQSAM_ONNXRUNTIME"]
    guard let named else {
        throw SegmentationError.usage(
            "an .onnx file needs ONNX Runtime: give its shared library with --library")
    }
    return try OnnxRuntimeBackend(model: file, library: named)
}

private func readPhoto(_ file: URL) throws -> RGBImage {
    #if canImport(CoreML)
    return try RGBImage(contentsOf: file)
    #else
    guard let content = try? Data(contentsOf: file) else {
        throw SegmentationError.usage("\(file.path) is not there, or cannot be read")
    }
    return try readPicture(content, named: file.path)
    #endif
}

/// Words of the command line, after the verb.
private struct Options {
    private var values: [String: [String]] = [:]
    private var plain: [String] = []

    init(_ words: [String], take known: Set<String>) throws {
        var rest = words.dropFirst()
        while let word = rest.popFirst() {
            guard word.hasPrefix("--") else {
                plain.append(word)
                continue
            }
            guard known.contains(word), let value = rest.popFirst() else {
                throw SegmentationError.usage("\(word) is no option here, or has no value")
            }
            values[word, default: []].append(value)
        }
    }

    func all(_ name: String) -> [String] { values[name] ?? [] }

    func last(_ name: String) -> String? { values[name]?.last }

    func only(_ what: String) throws -> String {
        guard plain.count == 1 else { throw SegmentationError.usage("give one \(what)") }
        return plain[0]
    }

    func prompt() throws -> Prompt {
        let foreground = try all("--click").map { try numbers($0, 2, "--click") }
        let background = try all("--background").map { try numbers($0, 2, "--background") }
        let box = try last("--box").map { try numbers($0, 4, "--box") }
        let labels = foreground.map { _ in 1 } + background.map { _ in 0 }
        return try Prompt(pointCoords: foreground + background, pointLabels: labels, box: box)
    }

    private func numbers(_ text: String, _ count: Int, _ name: String) throws -> [Float] {
        let values = text.split(separator: ",").compactMap { Float($0) }
        guard values.count == count, text.split(separator: ",").count == count else {
            throw SegmentationError.usage("\(name) takes \(count) numbers with commas, got \(text)")
        }
        return values
    }
}
