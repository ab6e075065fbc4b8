package io.github.sqsamdeploy.benchmark

import android.app.Activity
import android.app.Instrumentation
import android.content.Intent
import android.os.Bundle
import android.view.WindowManager
import io.github.sqsamdeploy.executorch.ExecuTorch
import io.github.sqsamdeploy.litert.LiteRt
import io.github.sqsamdeploy.onnx.OnnxRuntime
import java.io.File

/**
 * Measures a plan: `adb shell am instrument -w -r -e plan FOLDER PACKAGE/.BenchmarkInstrumentation`.
 *
 * It is a part of the release app that it measures, so that nothing of a test framework or a
 * debugger runs beside it. Each line it says arrives as the status "line"; the result lies in the
 * app's external files as sqsam-result.json, whose path is the last line.
 */
class BenchmarkInstrumentation : Instrumentation() {
    private var folder = ""

    override fun onCreate(arguments: Bundle?) {
        super.onCreate(arguments)
        folder = arguments?.getString("plan") ?: DEFAULT_FOLDER
        start()
    }

    override fun onStart() {
        val told =
            try {
                measure()
                "result"
            } catch (error: Throwable) {
                say("error: ${error.message ?: error}")
                "failed"
            }
        finish(if (told == "result") Activity.RESULT_OK else Activity.RESULT_CANCELED, line(told))
    }

    private fun measure() {
        // An app in front gets the fast cores; its window keeps the phone awake.
        val intent = Intent(targetContext, MeasuringActivity::class.java).addFlags(Intent.FLAG_ACTIVITY_NEW_TASK)
        val window = startActivitySync(intent)
        val target = File(targetContext.getExternalFilesDir(null), "sqsam-result.json")
        val phone = AndroidPhone(targetContext)
        Suite(Plan.read(File(folder)), listOf(ExecuTorch, LiteRt, OnnxRuntime), phone, ::say).run(target)
        say("result: ${target.path}")
        window.finish()
    }

    private fun say(text: String) {
        sendStatus(Activity.RESULT_FIRST_USER, line(text))
    }

    private fun line(text: String) = Bundle().apply { putString("line", text) }

    private companion object {
        const val DEFAULT_FOLDER = "/data/local/tmp/sqsam"
    }
}

/** What is on the screen meanwhile. */
class MeasuringActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
    }
}
