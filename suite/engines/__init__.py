"""Where runs execute: in this process, or in worker processes of this machine."""

from suite.engines._base import Engine, Listener, Task
from suite.engines.inline import Inline
from suite.engines.workers import Workers

__all__ = ["Engine", "Inline", "Listener", "Task", "Workers"]
