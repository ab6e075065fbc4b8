"""Where things are in a store. Nothing else knows these paths; `docs/releases.md` shows them."""

from semver import Version

INDEX = "index.json"
README = "README.txt"
MODELS = "models"
#: Half-written files of folder stores; no reader looks there.
PARTIAL = ".partial"
#: The file that makes a version exist.
RECORD_NAME = "SHA256SUMS"

README_TEXT = """\
This is a store of model releases.

models/NAME/VERSION/SHA256SUMS   what a release holds: "<sha256>  <file name>" a line. A version
                                 exists when this file does, and the file never changes.
models/NAME/tags/TAG             one line: the version the tag names now.
blobs/sha256/ab/abcdef...        the files themselves, named by their SHA-256.
index.json                       a summary of all releases; can be rebuilt from the above.

To fetch a release without a tool, inside an empty directory:

  curl -fsO STORE/models/NAME/VERSION/SHA256SUMS
  while read -r sum file; do
    curl -fs --create-dirs -o "$file" "STORE/blobs/sha256/$(echo "$sum" | cut -c1-2)/$sum"
  done < SHA256SUMS
  sha256sum -c SHA256SUMS

README.md in a release is its model card, release.json its contents for programs, and
release.json.sig, where there is one, the signature of release.json (OpenSSF model signing):

  model_signing verify key release.json --signature release.json.sig --public_key KEY
"""


def blob(sha256: str) -> str:
    """A file of any release, by the hash of its content."""
    return f"blobs/sha256/{sha256[:2]}/{sha256}"


def model(name: str) -> str:
    """The folder of a model's versions and tags."""
    return f"{MODELS}/{name}"


def record(name: str, version: Version) -> str:
    """The file that makes a version exist, and lists its files."""
    return f"{model(name)}/{version}/{RECORD_NAME}"


def tags(name: str) -> str:
    """The folder of a model's tags."""
    return f"{model(name)}/tags"


def tag(name: str, tag_name: str) -> str:
    """The file that says which version a tag names."""
    return f"{tags(name)}/{tag_name}"


def newest(name: str) -> str:
    """In a cache's records, not in a store: the highest released version that was pulled."""
    return f"{model(name)}/newest"
