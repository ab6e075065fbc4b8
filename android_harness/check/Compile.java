import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jetbrains.kotlin.cli.common.ExitCode;
import org.jetbrains.kotlin.cli.jvm.K2JVMCompiler;

/**
 * Compiles several modules in one virtual machine, which is warm after the first.
 *
 * <p>Each argument is a file with the compiler's arguments, one a line; what it says goes beside it
 * into a file that ends in ".said", and the exit code is the first word of a line here.
 */
final class Compile {
  public static void main(String[] jobs) throws Exception {
    for (String job : jobs) {
      String[] arguments = Files.readAllLines(Path.of(job)).toArray(new String[0]);
      ByteArrayOutputStream said = new ByteArrayOutputStream();
      ExitCode code = new K2JVMCompiler().exec(new PrintStream(said, true, "UTF-8"), arguments);
      Files.write(Path.of(job + ".said"), said.toByteArray());
      System.out.println(code + " " + job);
    }
    System.exit(0);
  }
}
