"""Lines that look like a secret."""

import pytest

from adasr_trl.hub.secret_scan import find_secret


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("api_key: 9f8e7d6c5b4a39281706abcd", True),
        ("url: https://tom:hunter22@example.org/x", True),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", True),
        ("aws AKIA" + "A1B2C3D4" * 2, True),
        ("hub_token: null", False),
        ('"eos_token": "<|im_end|>"', False),
        ("max_new_tokens: 12345678901234567890", False),
        ("path: Qwen/Qwen3-1.7B-Instruct-2507", False),
    ],
)
def test_what_looks_like_a_secret(tmp_path, line, secret):
    (tmp_path / "a.yaml").write_text(f"first\n{line}\n")
    found = find_secret(tmp_path / "a.yaml")
    assert (found is not None) == secret
    assert found is None or found.line == 2
