"""What cannot be started says so in one line, with exit code 1 or click's own 2, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("options", "text", "code"),
    [
        (["--port", "65530"], "not a port with room for 1000 more after it: 65530", 1),
        (["--port", "0", "--namespace", ""], "a namespace has a name", 1),
        (["--port", "0", "--region", "a b"], "not a region id: 'a b'", 1),
        (["--port", "0", "--region", "a", "--region", "a"], "a region is named twice: a, a", 1),
        (["--port", "0", "--data-dir", ""], "the name of a directory is empty", 2),
        (["--port", "0", "--tls-cert", "a"], "TLS needs both a certificate and its key", 1),
        (["--port", "0", "--tls-cert", "/none", "--tls-key", "b"], "/none cannot be read: No such file", 1),
        (["--port", "0", "--tls-client-ca", "a"], "certificates of clients need TLS", 1),
        (["--port", "0", "--tls-dev-ca", "a", "--tls-key", "b"], "makes its own certificate and key", 1),
        (["--port", "0", "--api-key", "a b"], "an API key has no blanks", 1),
        (["--port", "0", "--host", "203.0.113.1"], "cannot listen on 203.0.113.1", 1),
        (["--port", "0", "--failover-after", "nan"], "not a number of seconds: nan", 2),
        (["--port", "0", "--failback-after", "inf"], "not a number of seconds: inf", 2),
        (["--port", "0", "--failback-after", "-1"], "-1.0 is not in the range x>=0", 2),
        (["--port", "0", "--dns-lag", "inf"], "not a number of seconds: inf", 2),
        (["--port", "0", "--smtp", "25"], "not HOST:PORT: '25'", 2),
        (["--port", "0", "--smtp", "x:25"], "notifications need both a mail server and who gets them", 1),
        (["--port", "0", "--smtp", "x:25", "--notify", "me"], "not an e-mail address: 'me'", 1),
        (["--port", "0", "--audit-log", ""], "the name of a file is empty", 2),
        (["--port", "0", "--audit-log", "/none/a"], "the audit log cannot be written to /none/a: No such", 1),
    ],
)
def test_one_clear_line(tmp_path: Path, options: list[str], text: str, code: int) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mockcloud", "up", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == code
    assert text in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []
