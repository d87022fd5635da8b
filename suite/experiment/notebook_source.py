"""The source of a class that a notebook cell has defined, as a module of its own that any process can import.

The module has the class and whatever of the notebook it uses, directly or indirectly: helpers, base classes, constants
and imports. It is written from what these names stand for now, so neither the order of the cells nor a cell that was
edited and not executed matters.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import linecache
import symtable
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

from suite.errors import InputError

MAIN = "__main__"
"""The module of a notebook, and of everything that is typed into an interpreter."""
PLAIN = (bool, int, float, str, bytes, type(None), tuple, list, dict, set)
"""The types of values that are written as they are."""


def is_of_notebook(name: str) -> bool:
    """Tell whether ``module:Class`` names a class of this notebook or interpreter, which has no file."""
    return name.partition(":")[0] == MAIN and not getattr(sys.modules[MAIN], "__file__", None)


def module_of(class_name: str) -> tuple[str, str]:
    """Return the name and the text of the module that stands for a class of this notebook.

    The name holds a digest of the text without its comments and docstrings, so that an edited class has another one.

    Raises:
        InputError: if the source of something that the class needs cannot be found.
    """
    module = _Module(class_name)
    module.add(class_name, "")
    title = f'"""The class {class_name} of a notebook. memspan has written this file, and reads it by its name."""'
    body = "".join(map(_text, module.statements))
    bare = ast.unparse(_WithoutDocstrings().visit(ast.parse(body)))
    name = f"notebook_{hashlib.sha256(bare.encode()).hexdigest()[:16]}"
    return name, f"{title}\n\nfrom __future__ import annotations\n\n{body}"


def _text(statement: ast.stmt) -> str:
    is_block = isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    return f"\n\n{ast.unparse(statement)}\n" if is_block else f"{ast.unparse(statement)}\n"


class _Module:
    """The statements that define a class of a notebook, each after those that it needs."""

    def __init__(self, class_name: str) -> None:
        self.class_name = class_name
        self.scope = vars(sys.modules[MAIN])
        self.statements: list[ast.stmt] = []
        self.added: set[str] = set()

    def add(self, name: str, user: str) -> None:
        """Add the statement that defines a name of the notebook, and before it whatever that uses.

        Args:
            name: the name, which is skipped if it is none of the notebook.
            user: what uses it, for the message.
        """
        if name in self.added or name not in self.scope:
            return
        self.added.add(name)
        statement = _import_of(name, self.scope[name]) or _definition(name, self.scope[name])
        if statement is None:
            uses = f", which {user} uses," if user else ""
            raise InputError(
                f"the source of module {MAIN!r} cannot be read: the definition of {name!r}{uses} is not found, and a "
                "run is known by its source: define it in a notebook cell of its own, or put the class into a file"
            )
        for used in sorted(_names(symtable.symtable(ast.unparse(statement), MAIN, "exec"))):
            self.add(used, name)
        self.statements.append(statement)


def _import_of(name: str, value: Any) -> ast.stmt | None:
    """Return the statement that imports a value, or that writes a plain one; None for what the notebook defines."""
    if isinstance(value, ModuleType):
        return ast.parse(f"import {value.__name__}{f' as {name}' if name != value.__name__ else ''}").body[0]
    if type(value) in PLAIN:
        return _assignment(name, value)
    for statement in _latest():
        if isinstance(statement, ast.ImportFrom) and not statement.level:
            for alias in statement.names:
                origin = sys.modules.get(str(statement.module))
                if (alias.asname or alias.name) == name and getattr(origin, alias.name, None) is value:
                    return ast.ImportFrom(statement.module, [alias], 0)
    home, own_name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if home in sys.modules and home != MAIN and getattr(sys.modules[home], str(own_name), None) is value:
        return ast.parse(f"from {home} import {own_name} as {name}").body[0]
    return None


def _assignment(name: str, value: Any) -> ast.stmt | None:
    """Return ``name = value`` if Python reads the value as it is written, which is not so of infinity, for example."""
    text = repr(value)
    try:
        same = repr(ast.literal_eval(text)) == text
    except (ValueError, SyntaxError, RecursionError):
        return None
    return ast.parse(f"{name} = {text}").body[0] if same else None


def _definition(name: str, value: Any) -> ast.stmt | None:
    """Return the statement of a cell that has given a name its value: the cell of its code, else the latest one."""
    for code in _codes(value):
        for statement in _statements("".join(linecache.getlines(code.co_filename))):
            decorators = getattr(statement, "decorator_list", [])
            first = min(part.lineno for part in (statement, *decorators))
            if _binds(statement, name) and first <= code.co_firstlineno <= (statement.end_lineno or first):
                return statement
    return next((statement for statement in _latest() if _binds(statement, name)), None)


def _codes(value: Any) -> Iterator[CodeType]:
    """Yield the code of a function, or of the methods of a class as it stood in its cell."""
    parts = vars(value).values() if isinstance(value, type) else [value]
    for part in parts:
        function = inspect.unwrap(getattr(part, "__func__", None) or getattr(part, "fget", None) or part)
        is_own = not isinstance(value, type) or getattr(function, "__qualname__", "").startswith(value.__qualname__)
        if isinstance(function, FunctionType) and is_own:
            yield function.__code__


def _cells() -> list[str]:
    """Return the text of every cell that was executed, in order; of an interpreter, what it keeps of its lines."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None:
        return [str(cell) for cell in shell.history_manager.input_hist_parsed]
    return ["".join(entry[2]) for entry in linecache.cache.values() if len(entry) > 2 and entry[1] is None]


def _latest() -> Iterator[ast.stmt]:
    """Yield the statements of all cells, the latest first."""
    return (statement for cell in reversed(_cells()) for statement in reversed(_statements(cell)))


@lru_cache(maxsize=1024)
def _statements(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text).body
    except (SyntaxError, ValueError):  # The cell was refused by Python, too.
        return []


def _binds(statement: ast.stmt, name: str) -> bool:
    """Tell whether a statement defines a name and has no other effect, as a loop would."""
    match statement:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            return statement.name == name
        case ast.Import() | ast.ImportFrom():
            return any((alias.asname or alias.name) == name for alias in statement.names)
        case ast.Assign(targets=[ast.Name(id=target)]) | ast.AnnAssign(target=ast.Name(id=target), value=ast.expr()):
            return target == name
    return False


def _names(table: symtable.SymbolTable) -> Iterator[str]:
    """Yield the names of the module that a statement uses, also inside its functions, where others are local."""
    is_outermost = table.get_type() == "module"
    yield from (
        each.get_name() for each in table.get_symbols() if each.is_referenced() and (is_outermost or each.is_global())
    )
    for inner in table.get_children():
        yield from _names(inner)


class _WithoutDocstrings(ast.NodeTransformer):
    """Takes the docstrings out of a statement."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._bare(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._bare(node)

    def _bare(self, node: ast.ClassDef | ast.FunctionDef) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)
