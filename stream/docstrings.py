"""What the code says about its members, for the documents that are generated from it."""

import ast
import inspect


def member_docs(cls: type) -> dict[str, str]:
    """Return the text that follows each attribute in a class's source, on one line.

    >>> from models.reasons import RefusalReason
    >>> member_docs(RefusalReason)["KEY_MISSING"]
    'The record has no key.'
    """
    (module,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(module, ast.ClassDef)
    docs = {}
    for statement, following in zip(module.body, module.body[1:], strict=False):
        match statement, following:
            case (
                ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ):
                docs[name] = " ".join(text.split())
    return docs
