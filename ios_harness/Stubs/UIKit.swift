// A stand-in for the system's module, to type-check against where there is none.

@MainActor open class UIApplication {
    init() {}
    public class var shared: UIApplication { UIApplication() }
    open var isIdleTimerDisabled = false
}
