"""One training that overfits from epoch 10 on, written in every format that is read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

N: Final = 40
TRAIN: Final = [round(2 * math.exp(-i / 8) + 0.1, 6) for i in range(N)]
VAL: Final = [round(1 + 0.6 * math.exp(-i / 4) + max(0.0, 0.03 * (i - 10)), 6) for i in range(N)]
PAIRS: Final = list(zip(TRAIN, VAL, strict=True))
Write = Callable[[Path], Path]


def text(name: str, *lines: str) -> Write:
    """Writes a file of these lines."""

    def write(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def data(name: str, content: object, indent: int | None = None) -> Write:
    """Writes a file of JSON."""
    return text(name, json.dumps(content, indent=indent))


def rows(header: str, *cells: str) -> list[str]:
    """A header, and a row for each epoch; `{i}`, `{t}` and `{v}` stand for the epoch and the losses."""
    return [header, *(cell.format(i=i, t=t, v=v) for i, (t, v) in enumerate(PAIRS) for cell in cells)]


def objects(*entries: Callable[[int], dict[str, object]]) -> list[dict[str, object]]:
    """Objects of each epoch."""
    return [entry(i) for i in range(N) for entry in entries]


def dvclive(folder: Path) -> Path:
    """A folder of DVCLive."""
    top = folder / "dvclive"
    for name, column in (("train/loss", TRAIN), ("val/loss", VAL), ("epoch", range(N))):
        lines = ["step\t" + name.rsplit("/", 1)[-1], *(f"{i}\t{value}" for i, value in enumerate(column))]
        text(f"plots/metrics/{name}.tsv", *lines)(top)
    data("metrics.json", {"train": {"loss": TRAIN[-1]}, "step": N - 1})(top)
    text("params.yaml", "lr: 0.1")(top)
    return top


def sacred(folder: Path) -> Path:
    """A run of Sacred's file storage, with its configuration."""
    top = folder / "1"
    curves = {
        name: {"steps": list(range(N)), "values": values, "timestamps": [f"2024-01-01T00:00:{i:02d}" for i in range(N)]}
        for name, values in (("training.loss", TRAIN), ("validation.loss", VAL))
    }
    data("metrics.json", curves)(top)
    data("run.json", {"status": "COMPLETED"})(top)
    data("config.json", {"lr": 0.1})(top)
    return top


def wandb_chart() -> list[str]:
    """A chart as W&B exports it."""
    names = [f"quiet-sun-1 - {name}{end}" for name in ("train/loss", "val/loss") for end in ("", "__MIN", "__MAX")]
    header = ",".join(f'"{name}"' for name in ["Step", *names])
    return rows(header, '"{i}","{t}","{t}","{t}","{v}","{v}","{v}"')


def appended() -> list[str]:
    """Three trainings in one file of Keras' CSVLogger."""
    found = ["epoch,loss,val_loss"]
    for many in (30, 12, N):
        found += [f"{i},{t},{v}" for i, (t, v) in enumerate(PAIRS[:many])]
    return found


def batches(per_epoch: int = 5) -> list[str]:
    """A count of batches that begins again with each epoch; the validation at the last of each."""
    found = ["epoch,batch,train_loss,val_loss"]
    for i, (t, v) in enumerate(PAIRS):
        found += [f"{i},{b},{t},{v if b == per_epoch - 1 else ''}" for b in range(per_epoch)]
    return found


def shuffled() -> str:
    """Each four steps in reverse, as several workers report them."""
    order = [i + k for i in range(0, N, 4) for k in (3, 2, 1, 0)]
    return "\n".join(json.dumps({"step": i, "loss": TRAIN[i], "val_loss": VAL[i]}) for i in order)


KERAS: Final = {"loss": TRAIN, "val_loss": VAL}
FORMATS: Final[dict[str, Write]] = {
    "csv": text("log.csv", *rows("epoch,train_loss,val_loss", "{i},{t},{v}")),
    "csv of a data frame": text("log.csv", *rows(",loss,val_loss", "{i},{t},{v}")),
    "white space": text("log.txt", *rows("epoch  train_loss   val_loss", "{i}  {t}   {v}")),
    "numpy.savetxt": text("log.txt", *rows("# epoch train_loss val_loss", "{i} {t} {v}")),
    "markdown": text("log.md.csv", *rows("| epoch | loss | val_loss |\n|---|---|---|", "| {i} | {t} | {v} |")),
    "tensors": text("log.csv", *rows("epoch;loss;val_loss", "{i};tensor({t}, device='cuda:0');np.float64({v})")),
    "header again": text("log.csv", *rows("epoch,loss,val_loss", "{i},{t},{v}")[:21], *rows("epoch,loss,val_loss"),
                         *rows("epoch,loss,val_loss", "{i},{t},{v}")[21:]),
    "appended": text("log.csv", *appended()),
    "batches": text("log.csv", *batches()),
    "sets in a column": text("log.csv", *rows("epoch,phase,loss", "{i},train,{t}", "{i},val,{v}")),
    "name and value": text("m.csv", *rows("Name,Value,Timestamp,Step", "loss,{t},1700000000000,{i}",
                                          "val_loss,{v},1700000000000,{i}")),
    "name and value, one after the other": text("m.csv", *rows("metric,value,step", "loss,{t},{i}"),
                                                *rows("", "val_loss,{v},{i}")[1:]),
    "wandb chart": text("wandb_export.csv", *wandb_chart()),
    "ultralytics": text("results.csv", *rows(
        "  epoch,  train/box_loss,  train/cls_loss,  val/box_loss,  val/cls_loss", "{i},{t},{t},{v},{v}")),
    "jsonl": text("log.jsonl", *map(json.dumps, objects(lambda i: {"step": i, "train": {"loss": TRAIN[i]}},
                                                        lambda i: {"step": i, "val": {"loss": VAL[i]}}))),
    "jsonl out of order": text("log.jsonl", shuffled()),
    "objects behind one another": text("log.json", *(json.dumps(entry, indent=2) for entry in objects(
        lambda i: {"epoch": i, "loss": TRAIN[i], "val_loss": VAL[i]}))),
    "llama-factory": text("trainer_log.jsonl", *map(json.dumps, objects(
        lambda i: {"current_steps": 10 * i + 10, "total_steps": 400, "loss": TRAIN[i], "epoch": i / 8},
        lambda i: {"current_steps": 10 * i + 10, "total_steps": 400, "eval_loss": VAL[i], "epoch": i / 8}))),
    "ms-swift": text("logging.jsonl", *map(json.dumps, objects(
        lambda i: {"loss": TRAIN[i], "global_step/max_steps": f"{i + 1}/{N}", "percentage": f"{2.5 * (i + 1)}%"},
        lambda i: {"eval_loss": VAL[i], "global_step/max_steps": f"{i + 1}/{N}"}))),
    "comet": data("metrics.json", objects(
        *(lambda i, name=name, column=column: {"metricName": name, "metricValue": str(column[i]), "step": i + 1,
                                               "timestamp": 1_700_000_000_000 + i, "runContext": None}
          for name, column in (("train_loss", TRAIN), ("val_loss", VAL))))),
    "rllib": text("result.json", *map(json.dumps, objects(
        lambda i: {"training_iteration": i + 1, "timesteps_total": 4000 * (i + 1), "hist_stats": {"r": [1.0, 2.0]},
                   "train_loss": TRAIN[i], "val_loss": VAL[i], "date": "2024-01-01_10-00-00"}))),
    "spinning up": text("progress.txt", *rows("Epoch\tAverageEpRet\tTotalEnvInteracts\ttrain_loss\tval_loss",
                                              "{i}\t1.0\t{i}000\t{t}\t{v}")),
    "mmengine": text("scalars.json", *map(json.dumps, objects(
        lambda i: {"loss": TRAIN[i], "lr": 0.1, "epoch": i + 1, "iter": 50 * i + 50, "step": 50 * i + 50},
        lambda i: {"val_loss": VAL[i], "step": i + 1}))),
    "fairseq": text("train.log", "2024 | INFO | fairseq_cli.train | Namespace(lr=0.1)", *(
        f"2024 | INFO | {which} | {json.dumps(entry)}" for i in range(N) for which, entry in (
            ("train_inner", {"epoch": i + 1, "loss": str(TRAIN[i]), "num_updates": str(100 * i + 100)}),
            ("valid", {"epoch": i + 1, "valid_loss": str(VAL[i]), "valid_num_updates": str(100 * i + 100)})))),
    "mllog": text("mllog.txt", *(":::MLLOG " + json.dumps(
        {"key": key, "value": column[i], "event_type": "POINT", "metadata": {"step": i}})
        for i in range(N) for key, column in KERAS.items())),
    "list of rows": data("log.json", objects(lambda i: {"epoch": i, "loss": TRAIN[i], "val_loss": VAL[i]})),
    "rows below a key": data("log.json", {"lr": 0.1, "history": objects(lambda i: {"epoch": i, "loss": TRAIN[i],
                                                                                   "val_loss": VAL[i]})}, 2),
    "rows of each set": data("log.json", {"train": objects(lambda i: {"epoch": i, "loss": TRAIN[i]}),
                                          "val": objects(lambda i: {"epoch": i, "loss": VAL[i]})}),
    "rows by epoch": data("log.json", {f"epoch_{i}": {"train": {"loss": t}, "val": {"loss": v}}
                                       for i, (t, v) in enumerate(PAIRS)}),
    "keras": data("history.json", KERAS),
    "keras with settings": data("history.json", {"model": "mlp", "layers": [64, 64], **KERAS}),
    "keras wrapped": data("history.json", {"history": KERAS, "epoch": list(range(N))}),
    "lists of sets": data("history.json", {"train": {"loss": TRAIN}, "val": {"loss": VAL}}),
    "trainer_state": data("trainer_state.json", {"log_history": objects(
        lambda i: {"loss": TRAIN[i], "step": i + 1, "epoch": i / 8}, lambda i: {"eval_loss": VAL[i], "step": i + 1})}),
    "tensorboardX": data("all_scalars.json", {"train/loss": [[1.7e9 + i, i, t] for i, t in enumerate(TRAIN)],
                                              "val/loss": [[1.7e9 + i, i, v] for i, v in enumerate(VAL)]}),
    "pairs by name": data("log.json", {"train_loss": list(enumerate(TRAIN)), "val_loss": list(enumerate(VAL))}),
    "pandas columns": data("h.json", {name: {str(i): x for i, x in enumerate(xs)} for name, xs in KERAS.items()}),
    "pandas split": data("h.json", {"columns": ["loss", "val_loss"], "index": list(range(N)), "data": PAIRS}),
    "pandas values": data("h.json", [["epoch", "loss", "val_loss"], *([i, t, v] for i, (t, v) in enumerate(PAIRS))]),
    "dvclive": dvclive,
    "sacred": sacred,
}  # fmt: skip
