"""Sign plans and check their signatures: Ed25519 (`cryptography`, the extra `sign`).

A signature covers the digest of a plan, and the digest covers everything else in the plan.

Keys are made with ``ssh-keygen -t ed25519`` or ``openssl genpkey -algorithm ed25519``; both forms
are read. A private key must be readable by its owner only, and have no passphrase.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from executor.base.errors import BadInput
from executor.base.extras import require_extra
from executor.base.files import read_owners_file
from executor.plan.file import plan_content, plan_digest
from executor.plan.model import Plan, Signature

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


def sign(plan: Plan, key_file: Path) -> Plan:
    """Return the plan with a signature by a private key.

    Raises:
        BadInput: The file holds no Ed25519 key, or others may read it.
    """
    key = private_key(key_file)
    value = base64.b64encode(key.sign(_message(plan))).decode()
    return plan.model_copy(
        update={"signature": Signature(key=_text(key.public_key()), value=value)}
    )


def trust_problems(plan: Plan, trusted: Iterable[Path]) -> list[str]:
    """Return why a plan is not signed by a trusted key; an empty list when it is.

    Raises:
        BadInput: A trusted key cannot be read.
    """
    keys = {_text(key): key for key in map(_public_key, trusted)}
    if plan.signature is None:
        return ["must be signed by a trusted key, and is not signed"]
    key = keys.get(plan.signature.key)
    if key is None:
        return [f"is signed by {plan.signature.key[:16]}…, which is not a trusted key"]
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 # an extra

    try:
        key.verify(base64.b64decode(plan.signature.value, validate=True), _message(plan))
    except (InvalidSignature, ValueError):  # a ValueError: the signature is not base64
        return ["the signature is not of this plan"]
    return []


def _message(plan: Plan) -> bytes:
    """Return the signed bytes: the schema version and the digest, computed anew from the content."""
    return f"{plan.schema_} {plan_digest(plan_content(plan))}".encode()


def _text(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes_raw()).decode()


def private_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a file.

    Raises:
        BadInput: The file holds no Ed25519 key without a passphrase, or others may read it.
    """
    text = read_owners_file(path).encode()
    require_extra("sign", "a signature")
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 # an extra
    from cryptography.hazmat.primitives import serialization as s  # noqa: PLC0415 # an extra
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 # an extra

    load = s.load_ssh_private_key if b"OPENSSH" in text else s.load_pem_private_key
    try:
        key = load(text, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{path}: is no private key without a passphrase: {error}") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise BadInput(f"{path}: must be an Ed25519 key")
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from None
    require_extra("sign", "a signature")
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 # an extra
    from cryptography.hazmat.primitives import serialization as s  # noqa: PLC0415 # an extra
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 # an extra

    load = s.load_ssh_public_key if text.startswith(b"ssh-") else s.load_pem_public_key
    try:
        key = load(text)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput(f"{path}: is no public key: {error}") from None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise BadInput(f"{path}: must be an Ed25519 key")
    return key
