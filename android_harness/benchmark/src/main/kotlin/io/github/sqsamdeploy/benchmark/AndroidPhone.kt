package io.github.sqsamdeploy.benchmark

import android.app.ActivityManager
import android.content.Context
import android.content.pm.ApplicationInfo
import android.os.Build
import android.os.PowerManager
import java.io.File

/** The phone this runs on. */
class AndroidPhone(private val context: Context) : Phone {
    private val power = context.getSystemService(PowerManager::class.java)

    override fun device(name: String?): Map<String, Any?> {
        val memory = ActivityManager.MemoryInfo()
        context.getSystemService(ActivityManager::class.java).getMemoryInfo(memory)
        return mapOf(
            "kind" to "android",
            // The maker and model, never the name that its owner gave it.
            "name" to (name ?: "${Build.MANUFACTURER} ${Build.MODEL}"),
            "model" to "${Build.MODEL} (${Build.DEVICE}, ${processor()})",
            "system" to "Android ${Build.VERSION.RELEASE} (API ${Build.VERSION.SDK_INT})",
            "cores" to Runtime.getRuntime().availableProcessors(),
            "memory" to memory.totalMem,
            "features" to features(),
            "virtual" to isEmulator(),
        )
    }

    override val thermalState: String
        get() =
            when (power.currentThermalStatus) {
                PowerManager.THERMAL_STATUS_NONE -> "nominal"
                PowerManager.THERMAL_STATUS_LIGHT -> "fair"
                PowerManager.THERMAL_STATUS_MODERATE -> "serious"
                else -> "critical"
            }

    override val savesPower: Boolean get() = power.isPowerSaveMode

    override val residentMemory: Long
        get() = KILOBYTES.find(File("/proc/self/status").readText())?.let { it.groupValues[1].toLong() * 1024 } ?: 0

    override val build: String
        get() {
            val debuggable = context.applicationInfo.flags and ApplicationInfo.FLAG_DEBUGGABLE != 0
            return if (debuggable) "debug" else "release"
        }

    override val versions: Map<String, String>
        get() =
            mapOf(
                "android_harness" to "1",
                "executorch" to BuildConfig.EXECUTORCH,
                "litert" to BuildConfig.LITERT,
                "onnxruntime" to BuildConfig.ONNXRUNTIME,
            )

    private fun processor() =
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) Build.SOC_MODEL else Build.HARDWARE

    private fun isEmulator() = Build.HARDWARE in listOf("ranchu", "goldfish") || "generic" in Build.FINGERPRINT

    /** Instructions that int8 and half precision kernels use, as other machines' results call them. */
    private fun features(): List<String> {
        val flags = FLAGS.find(File("/proc/cpuinfo").readText())?.groupValues?.get(1)?.split(" ").orEmpty()
        return NAMES.filterKeys { it in flags }.values.toList()
    }

    private companion object {
        val KILOBYTES = Regex("""VmRSS:\s+(\d+) kB""")
        val FLAGS = Regex("""Features\s*:\s*(.+)""")
        val NAMES =
            mapOf(
                "asimddp" to "DotProd",
                "i8mm" to "I8MM",
                "sme" to "SME",
                "sme2" to "SME2",
                "asimdhp" to "FP16",
                "bf16" to "BF16",
            )
    }
}
