// A stand-in for the system's module, to type-check against where there is none.

public func autoreleasepool<Result>(invoking body: () throws -> Result) rethrows -> Result {
    try body()
}
