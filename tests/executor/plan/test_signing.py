"""Who vouches for a plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from executor.base.errors import BadInput, Refused
from executor.plan.file import plan_text, read_plan, seal, write_plan
from executor.plan.signing import sign, trust_problems
from tests.helpers.plans import example_plan


def keys(folder: Path, name: str, form: str = "pem") -> tuple[Path, Path]:
    """A pair of files: the private key and the public one."""
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = folder / name, folder / f"{name}.pub"
    ssh = form == "ssh"
    inside = s.PrivateFormat.OpenSSH if ssh else s.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(s.Encoding.PEM, inside, s.NoEncryption()))
    outside = (
        (s.Encoding.OpenSSH, s.PublicFormat.OpenSSH)
        if ssh
        else (s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    )
    public.write_bytes(key.public_key().public_bytes(*outside))
    private.chmod(0o600)
    return private, public


@pytest.mark.parametrize("form", ["pem", "ssh"])
def test_a_signed_plan_is_trusted_after_its_way_through_a_file(tmp_path: Path, form: str) -> None:
    private, public = keys(tmp_path, "release", form)
    write_plan(tmp_path / "plan.json", sign(example_plan(), private))
    read = read_plan(tmp_path / "plan.json")
    assert read.signature is not None
    assert trust_problems(read, [public]) == []
    assert trust_problems(read, [keys(tmp_path, "other")[1], public]) == []
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600


def test_a_plan_that_nobody_trusted_signed_is_refused(tmp_path: Path) -> None:
    private, public = keys(tmp_path, "release")
    other, _ = keys(tmp_path, "other")
    plan = example_plan()
    assert trust_problems(plan, [public]) == ["must be signed by a trusted key, and is not signed"]
    (why,) = trust_problems(sign(plan, other), [public])
    assert why.endswith("…, which is not a trusted key")
    borrowed = sign(plan, private).signature
    changed = seal(example_plan(seed=2)).model_copy(update={"signature": borrowed})
    assert trust_problems(changed, [public]) == ["the signature is not of this plan"]
    assert borrowed is not None
    for value in ("not base64!", "é", "", "AAAA"):
        garbled = borrowed.model_copy(update={"value": value})
        garbled_plan = plan.model_copy(update={"signature": garbled})
        assert trust_problems(garbled_plan, [public]) == ["the signature is not of this plan"]


def test_a_signed_plan_that_was_changed_is_refused_by_its_digest(tmp_path: Path) -> None:
    private, _ = keys(tmp_path, "release")
    text = plan_text(sign(example_plan(), private))
    (tmp_path / "plan.json").write_text(text.replace('"window": 2', '"window": 3', 1))
    with pytest.raises(Refused, match="the plan was changed after it was made"):
        read_plan(tmp_path / "plan.json")


def test_what_is_no_key_is_told(tmp_path: Path) -> None:
    private, public = keys(tmp_path, "release")
    private.chmod(0o640)
    with pytest.raises(BadInput, match=r"mode \(0640\) must be 0600"):
        sign(example_plan(), private)
    private.chmod(0o600)
    private.write_text("hello")
    with pytest.raises(BadInput, match="is no private key without a passphrase"):
        sign(example_plan(), private)
    public.write_text("ssh-none AAAA")
    with pytest.raises(BadInput, match="is no public key"):
        trust_problems(example_plan(), [public])
    public.write_text("hello")
    with pytest.raises(BadInput, match="is no public key"):
        trust_problems(example_plan(), [public])
    curve = ec.generate_private_key(ec.SECP256R1())
    private.write_bytes(
        curve.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    )
    with pytest.raises(BadInput, match="must be an Ed25519 key"):
        sign(example_plan(), private)
    with pytest.raises(BadInput, match=r"none\.pub: cannot be read"):
        trust_problems(example_plan(), [tmp_path / "none.pub"])
