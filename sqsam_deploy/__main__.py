"""`python -m sqsam_deploy COMMAND`: every command, also where its script is not on the PATH."""

import sys
from importlib import import_module

from sqsam_deploy._internal.terminal import note, say
from sqsam_deploy.version import __version__

COMMANDS = {
    "export": "Turn trained weights into artifacts for mobile runtimes.",
    "parity": "Compare float and quantized artifacts on the same objects.",
    "predict": "Cut an object out of a photo.",
    "inspect": "Show what a checkpoint, an artifact or an export directory holds.",
    "bench": "Measure latency, memory, load time and size.",
    "demo": "Serve a web page that cuts objects out of photos.",
    "publish": "Publish artifacts as an immutable version in a store.",
    "pull": "Pull a verified model out of a store.",
    "train": "Train on your photos, or a network by the paper's recipe.",
    "vectors": "Write test vectors for the app libraries.",
}


def main() -> None:
    """Runs the command that the first word names; without one, lists them."""
    word = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if word in COMMANDS:
        sys.argv = [f"sqsam-{word}", *sys.argv[2:]]
        import_module(f"sqsam_deploy.cli.{word}").main()
    elif word in ("-h", "--help"):
        _list_commands()
    elif word == "--version":
        say(f"sqsam-deploy {__version__}")
    else:
        note(f"error: there is no command {word}: choose from {', '.join(COMMANDS)}")
        sys.exit(2)


def _list_commands() -> None:
    say("Usage: python -m sqsam_deploy COMMAND [OPTIONS]")
    for name, summary in COMMANDS.items():
        say(f"  {name:8} {summary}")
    say("COMMAND --help shows the options of a command, which is installed as sqsam-COMMAND too.")


if __name__ == "__main__":
    main()
