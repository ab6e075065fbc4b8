// A stand-in for the system's module, to type-check against where there is none.

public struct UTType: Sendable, Hashable {
    public static let png = UTType(identifier: "public.png")
    public let identifier: String
}
