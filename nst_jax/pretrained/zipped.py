"""Members of zip archives, of the two kinds that programs for arrays write."""

import zipfile
from typing import cast

from nst_jax.errors import RequestError

_ENCRYPTED = 1


def opened(archive: zipfile.ZipFile, name: str) -> zipfile.ZipExtFile:
    """The member to read from.

    Raises:
        RequestError: it is encrypted, or packed in a way whose header alone can ask
            for gigabytes.
    """
    info = archive.getinfo(name)
    plain = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not plain or info.flag_bits & _ENCRYPTED:
        raise RequestError(
            f"expected {name[:80]!r} stored or deflated in the archive, found it "
            "packed in another way; save the file again"
        )
    return cast(zipfile.ZipExtFile, archive.open(info))
