"""
Read and build the actions of tests/corpus, and run the service that some of them call.

Each action is written as its user would write it; nothing here changes a line of it. `build` makes
the file that the user would give to the platform, `read_code` of the product makes the bytes of its
``/init``, and `FakeService` is the server that some of them call. Tests call these functions; a
person writes all actions into a folder, ready for ``hotwhisk compare``::

    python -m tests.support.corpus FOLDER --server http://127.0.0.1:8099
"""

from __future__ import annotations

from tests.support.corpus.cache import Unbuildable
from tests.support.corpus.case import CORPUS, Case, cases
from tests.support.corpus.export import Exported, export
from tests.support.corpus.fake_service import FakeService
from tests.support.corpus.image import REQUIREMENTS, python
from tests.support.corpus.recipes import build
from tests.support.corpus.tools import PACKAGES

__all__ = [
    "CORPUS", "PACKAGES", "REQUIREMENTS", "Case", "Exported", "FakeService", "Unbuildable", "build",
    "cases", "export", "python",
]  # fmt: skip
