"""Work on many items through `concurrent.futures.Executor`; a failed item never stops the rest."""

from kpkit.execute.base import Failure, run_tasks
from kpkit.execute.local import LocalPool

__all__ = ["Failure", "LocalPool", "run_tasks"]
