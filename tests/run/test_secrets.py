from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.run.secrets import hidden, hide_command, hide_text
from monitor.run.start import Run
from monitor.shipping.sinks import MemorySink

X = "Xk3v9"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlMTIz"

SECRETS = [
    ["--key", X],
    ["--auth", X],
    [f"--auth={X}"],
    [f"wandb.api_key={X}"],
    [f"+wandb.api_key={X}"],
    [f"++logger.wandb.apiKey={X}"],
    [f"HF_TOKEN={X}"],
    [f"PGPASSWORD={X}"],
    [f"OPENAI_KEY={X}"],
    ["--wandb-key", X],
    ["--pass", X],
    ["--pw", X],
    ["--db_pass", X],
    [f"--dbPassword={X}"],
    [f"--access-key={X}"],
    ["--aws-secret-access-key", X],
    ["--aws-access-key-id", X],
    ["--credentials", X],
    ["--token", X],
    [f"--hub_token={X}"],
    ["--api-tokens", X],
    ["--client-secret", X],
    ["--password", f"{X} {X}"],
    [f"--password={X};{X} {X}"],
    [f"postgres://u:{X}@h/db"],
    [f"postgres://u:{X}@{X}@h/db"],
    [f"--db=mysql+pymysql://root:{X}@h:3306/x"],
    [f"redis://:{X}@h"],
    [f"https://h/x?a=1&password={X}&b=2"],
    [f"https://u:pw@h/x?token={X}"],
    ["-H", f"Authorization: Bearer {X}"],
    ["-H", f"Authorization: Basic {X}"],
    ["--header", f"X-Api-Key: {X}"],
    [f"Proxy-Authorization={X}"],
    ["--opt", f'{{"api_key": "{X}", "lr": 1}}'],
    [f"model={{api_key:{X},lr:1}}"],
    ["--env", f"A=1 MY_SECRET={X} B=2"],
    ["--note", f"-----BEGIN RSA PRIVATE KEY-----\n{X}\n-----END RSA PRIVATE KEY-----"],
]
SHAPES = [
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2" * 9,
    "hf_" + "aBcD" * 8 + "1x",
    "sk-" + "a1B2" * 9,
    "sk-proj-" + "a1B2" * 9,
    "sk-ant-api03-" + "a1B2" * 9,
    "AKIAIOSFODNN7EXAMPLE",
    "AIza" + "a1B2" * 9,
    "xoxb-123456789012-abcdef",
    "glpat-" + "a1B2" * 5,
    JWT,
]
PLAIN = [
    ["--tokens-per-batch", "4096"],
    ["--key-dim", "64"],
    ["model.key_dim=64"],
    ["--max-tokens", "100"],
    ["--max-new-tokens=2048"],
    ["--num-tokens", "12345678901"],
    ["tokenizer=gpt2"],
    ["--tokenizer-name", "bert-base-uncased"],
    ["--pass-through", "yes"],
    ["--pass-through"],
    ["--num-passes", "3"],
    ["--single-pass", "train.py"],
    ["--high-pass", "20.5"],
    ["--token", "3"],
    ["--key=64"],
    ["--use-auth-token", "True"],
    ["--pad-token", "<pad>"],
    ["--eos_token=</s>"],
    ["--image-key", "jpg"],
    ["--label-key=class_name"],
    ["--sort-key", "val/loss"],
    ["--author", "ada"],
    ["--secretary", "bob"],
    ["--keyframes", "a"],
    ["--monitor", "val/loss"],
    ["--password-file", "/run/secrets/pw"],
    ["--lr=1e-4", "--seed", "1234567890123"],
    ["https://host:8080/path@x"],
    ["s3://bucket/key=value/part"],
    ["--url", "http://127.0.0.1:8470"],
    ["sk-learn-random-forest-classifier"],
    ["hf_internal_testing"],
    ["--checkpoint", "runs/2024-01-01/step=100.ckpt"],
    ["--metric", "tokens: per second"],
    ["--note", "key: insight"],
    ["python", "-m", "train", "-x", "--fast"],
]


@pytest.mark.parametrize("argv", SECRETS, ids=" ".join)
def test_a_secret_is_hidden_by_its_name_or_its_place(argv: list[str]) -> None:
    shown = " ".join(hide_command(["train.py", *argv, "--lr", "0.1"]))
    assert X not in shown
    assert "***" in shown
    assert shown.startswith("train.py")
    assert shown.endswith("--lr 0.1")


@pytest.mark.parametrize("secret", SHAPES)
@pytest.mark.parametrize("place", ["{}", "--x={}", "https://{}@github.com/a", "see {} there", '{{"x": "{}"}}'])
def test_a_well_known_token_is_hidden_wherever_it_stands(secret: str, place: str) -> None:
    shown = hide_text(place.format(secret))
    assert secret[10:] not in shown
    assert shown == place.format("***")


@pytest.mark.parametrize("argv", PLAIN, ids=" ".join)
def test_an_ordinary_flag_stays_as_it_is(argv: list[str]) -> None:
    assert hide_command(argv) == argv


@pytest.mark.parametrize(
    "part", ["x", "a=", "a-", "token=", "a:", "://", "a://b:", "sk-", "-eyJ", "eyJ.", "-", " ", "a ", "@", "Bearer "]
)
def test_a_long_text_takes_no_longer_than_its_length_asks_for(part: str) -> None:
    found = part * (60_000 // len(part))
    for text in (found, f"a://{found}", f"token={found}", f"{found}=x"):
        assert len(hide_text(text)) <= 2 * len(text)


@given(st.lists(st.text(max_size=30) | st.sampled_from(["--token", "--key=", "a://b:c@d", "x=1"]), max_size=6))
def test_any_command_line_keeps_its_length_and_is_hidden_once_and_for_all(argv: list[str]) -> None:
    shown = hide_command(argv)
    assert len(shown) == len(argv)
    assert hide_command(shown) == shown


def test_a_configuration_is_shown_without_its_secrets() -> None:
    assert hidden(
        {
            "hub": {"token": X, "url": f"https://u:{X}@h", "private": True},
            "credentials": {"user": X, "parts": [X, 5]},
            "key": "train/loss",
            "pin_password": 123456789,
            "wandb_api_key": None,
            "tokenizer": {"pad_token": "<pad>", "eos_token_id": 2},
            "max_tokens": 10**9,
            "commands": [f"curl -H 'Authorization: Bearer {X}'"],
        }
    ) == {
        "hub": {"token": "***", "url": "https://u:***@h", "private": True},
        "credentials": {"user": "***", "parts": ["***", 5]},
        "key": "train/loss",
        "pin_password": "***",
        "wandb_api_key": None,
        "tokenizer": {"pad_token": "<pad>", "eos_token_id": 2},
        "max_tokens": 10**9,
        "commands": ["curl -H 'Authorization: Bearer ***'"],
    }


def test_neither_the_configuration_nor_the_command_line_of_a_run_tells_a_secret(
    start: Callable[..., Run], sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", *(word for argv in SECRETS for word in argv)])
    with start(config={"api_key": X, "lr": 0.1}, capture=["command"]) as run:
        run.update_config({"db": f"postgres://u:{X}@h/db"})
        run.update_config({"nested": [{"password": X}]})
    told = repr([event.data for batch in sink.batches for event in batch.events])
    assert X not in told
    assert "0.1" in told
