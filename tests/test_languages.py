"""Losses, data sets and epochs are recognised by their words in other languages, too."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.directions import rises
from monitor.importers import read_runs
from monitor.languages import english
from monitor.roles import Role, role_of

LINES = {
    "Chinese": "第{e}轮 训练损失: {t} 验证损失: {v} 学习率: 0.001",
    "Chinese, by columns": "轮次 {e}/20 | 训练集损失 {t} | 验证集损失 {v} | 准确率 51.5%",
    "Japanese": "エポック {e}/20 訓練損失: {t} 検証損失: {v} 正解率: 51.5%",
    "Korean": "에포크 {e}/20 - 훈련 손실: {t} - 검증 손실: {v}",
    "Russian": "Эпоха {e} из 20: потери на обучении = {t}, потери на валидации = {v}",
    "Arabic": "الحقبة {e}: خسارة التدريب {t} خسارة التحقق {v}",
    "German": "Epoche {e} von 20: Trainingsverlust {t}, Validierungsverlust {v}, Lernrate 0.001",
    "French": "Époque {e}/20 — perte d'entraînement : {t} ; perte de validation : {v}",
    "Spanish": "Época {e}/20: pérdida de entrenamiento {t}, pérdida de validación {v}, exactitud 51%",
    "Portuguese": "Época {e} de 20 | perda treino: {t} | perda validação: {v}",
    "Italian": "Epoca {e}: perdita addestramento {t}, perdita validazione {v}",
    "Polish": "Epoka {e}/20, strata treningowa: {t}, strata walidacyjna: {v}",
    "Turkish": "Dönem {e}/20 eğitim kaybı: {t} doğrulama kaybı: {v}",
}
NAMES = {
    "训练损失": Role.TRAIN,
    "验证损失": Role.VAL,
    "val_损失": Role.VAL,
    "訓練損失": Role.TRAIN,
    "검증/손실": Role.VAL,
    "Trainingsverlust": Role.TRAIN,
    "Verlust/Validierung": Role.VAL,
    "perte_validation": Role.VAL,
    "PerteEntrainement": Role.TRAIN,
    "perdida_entrenamiento": Role.TRAIN,
    "потери": Role.TRAIN,
    "потери на проверочной выборке": Role.VAL,
    "学习率": Role.LR,
    "Lernrate": Role.LR,
    "验证准确率": Role.GOAL,
}


def curve(run, name):
    at = run.points.key == run.keys.index(name)
    return list(zip(run.points.step[at].tolist(), run.points.value[at].tolist(), strict=True))


@pytest.mark.parametrize("language", LINES)
def test_a_log_in_this_language_is_read(language, tmp_path):
    path = tmp_path / "train.log"
    rows = [(e, 2 / e, 2.5 / e) for e in range(1, 6)]
    path.write_text("\n".join(LINES[language].format(e=e, t=f"{t:.4f}", v=f"{v:.4f}") for e, t, v in rows), "utf-8")
    (run,) = read_runs(path)
    assert curve(run, "train_loss") == [(e, round(t, 4)) for e, t, _ in rows]
    assert curve(run, "val_loss") == [(e, round(v, 4)) for e, _, v in rows]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_another_language_has_a_role(name):
    assert role_of(name) is NAMES[name]


def test_columns_in_another_language_count_and_keep_their_names(tmp_path):
    path = tmp_path / "protokoll.csv"
    path.write_text("Epoche;Verlust;Genauigkeit\n1;0,9;0,5\n2;0,8;0,6\n3;0,7;0,7\n", "utf-8")
    (run,) = read_runs(path)
    assert curve(run, "Verlust") == [(1, 0.9), (2, 0.8), (3, 0.7)]
    assert run.keys == ("Verlust", "Genauigkeit")


def test_an_accuracy_in_another_language_rises():
    assert rises("точность на тесте")
    assert rises("ошибка") is False


WORDS = sorted(
    {word for text in (*LINES.values(), *NAMES) for word in text.split()} | {"val", "loss", "step", ":", "/"}
)


@given(st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_english_is_read_as_itself(text):
    assert english(english(text)) == english(text)


def test_logs_in_english_stay_as_they_are():
    spec = importlib.util.spec_from_file_location("logs", Path(__file__).parent / "importers" / "logs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lines = [line for text, _ in module.LOGS.values() for line in text.splitlines() if line.isascii()]
    assert [line for line in lines if english(line) != line] == []
