import Foundation

/// Compiled models, kept in a folder: compiling takes seconds on a phone, and is done once.
///
/// A model is compiled aside and moved into its place when it is whole, so that an app that is
/// ended in between finds nothing the next time rather than half of it.
public actor CompiledModels {
    private let folder: URL
    private let compile: @Sendable (URL) async throws -> URL
    private var running: [String: Task<URL, any Error>] = [:]

    /// - Parameters:
    ///   - folder: Made where it is missing; the system's caches are the place for it.
    ///   - compile: Compiles a package into a folder that nobody else writes, and says where.
    public init(folder: URL, compile: @escaping @Sendable (URL) async throws -> URL) {
        self.folder = folder
        self.compile = compile
    }

    /// Whether a model of this key needs no compiling.
    public func isReady(_ key: String) -> Bool {
        FileManager.default.fileExists(atPath: place(key).path)
    }

    /// The compiled model; two callers at once wait for one compilation.
    ///
    /// - Parameter key: Changes whenever the package does.
    /// - Throws: What compiling or moving throws.
    public func url(of package: URL, key: String) async throws -> URL {
        if isReady(key) { return place(key) }
        if let task = running[key] { return try await task.value }
        let task = Task { try await made(package, key) }
        running[key] = task
        defer { running[key] = nil }
        return try await task.value
    }

    /// Removes a compiled model that turned out to be broken.
    public func discard(_ key: String) throws {
        guard isReady(key) else { return }
        try FileManager.default.removeItem(at: place(key))
    }

    private func place(_ key: String) -> URL {
        folder.appendingPathComponent("\(key).mlmodelc")
    }

    private func made(_ package: URL, _ key: String) async throws -> URL {
        let files = FileManager.default
        try files.createDirectory(at: folder, withIntermediateDirectories: true)
        let compiled = try await compile(package)
        // Moving between volumes copies; the second move is within one, and at once.
        let aside = folder.appendingPathComponent(".partial-\(UUID().uuidString)")
        try files.moveItem(at: compiled, to: aside)
        do {
            try files.moveItem(at: aside, to: place(key))
        } catch {
            try? files.removeItem(at: aside)
            guard isReady(key) else { throw error }
        }
        removeLeftovers()
        return place(key)
    }

    /// What compilations left behind that were cut off.
    private func removeLeftovers() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for name in names where name.hasPrefix(".partial-") {
            try? FileManager.default.removeItem(at: folder.appendingPathComponent(name))
        }
    }
}
