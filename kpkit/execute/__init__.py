"""Work on many items through `concurrent.futures.Executor`; a failed item never stops the rest."""

from kpkit.execute.base import Failure, run_tasks
from kpkit.execute.dask import pool_for
from kpkit.execute.local import LocalPool, begin

__all__ = ["Failure", "LocalPool", "begin", "pool_for", "run_tasks"]
