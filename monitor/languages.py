"""The words of a training in other languages than English: losses, data sets, epochs, steps.

One table for the names of series, the columns of tables and the lines of text logs. Names keep their spelling in the
store; only their meaning is read from the English words.
"""

from __future__ import annotations

import re
from typing import Final

_SIGNS: Final = {
    "lr": "学习率|學習率|学習率|학습률|معدل التعلم",
    "epoch": "轮次|轮数|周期|輪次|エポック数?|에포크|에폭|الحقبة|حقبة",
    "step": "步数|步骤|迭代次数|迭代|ステップ数?|イテレーション|스텝|الخطوة",
    "batch": "批次|バッチ|배치",
    "loss": "损失(?:函数|值)?|損失(?:関数|函數|值|値)?|손실|الخسارة|خسارة",
    "error": "误差|誤差|오차",
    "train": "训练集?|訓練集?|学習|훈련|학습|التدريب",
    "val": "验证集?|驗證集?|検証|검증|التحقق",
    "test": "测试集?|測試集?|テスト|테스트|اختبار",
    "accuracy": "准确率|準確率|正确率|正解率|정확도|الدقة",
    "perplexity": "困惑度|パープレキシティ",
    "reward": "奖励|獎勵|報酬|보상",
    "avg": "平均|평균",
    "best": "最佳|最好|最高|最低|最小|最良|ベスト|최고|최저|최적|أفضل",
    "total": "总|總|合計|総|전체",
    "time": "时间|耗时|用时|時間|시간",
}
"""Words of scripts that are written without blanks, or whose words have no capitals."""
_LETTERS: Final = {
    "lr": r"taux d['’]apprentissage|tasa de aprendizaje|taxa de aprendiza\w+|tasso di apprendimento|lernrate|"
    r"(?:скорость|темп) обучения|öğrenme (?:oranı|hızı)|współczynnik uczenia|tốc độ học",
    "epoch": r"эпох[аиуе]?|époques?|épocas?|epoche|epoca|epok[ai]|dönem|epocha",
    "step": r"шаг|итераци[яи]|schritte?|étapes?|itérations?|pasos?|iteraci(?:ón|on|ones)|passos?|iteraç(?:ão|ões)|"
    r"iterazion[ei]|adım|krok|iteracj[ai]",
    "batch": "батч",
    "loss": r"verlust(?:e|funktion)?|pertes?|p[ée]rdidas?|perdas?|perdit[ae]|потер[ьия]|kay[ıi]p|kayb[ıi]|"
    r"strat[ay](?= ?(?:tren|walid|test|ucz))|förlust|ztráta|verlies|mất mát|kerugian",
    "error": r"ошибк[аи]|fehler|erreurs?|błąd|hata",
    "train": r"(?:d['’])?entra[iî]nement|apprentissage|entrenamiento|treino|treinamento|addestramento|обучени[еия]|"
    r"обучающ\w+|тренировочн\w+|e[ğg]itim|treningow[aey]|uczeni[ae]|träning|huấn luyện|pelatihan",
    "val": r"validierung|validaci[óo]n|validaç(?:ão|ao)|validazione|валидаци\w+|проверочн\w+|do[ğg]rulama|"
    r"walidacyjn[aey]|walidacj[ai]|kiểm định|validasi",
    "test": r"pruebas?|teste|тест(?:ов\w+)?",
    "accuracy": r"genauigkeit|exactitude|exactitud|acur[áa]cia|accuratezza|точность|doğruluk|dokładność|độ chính xác|"
    r"akurasi",
    "perplexity": r"perplexité|perplejidad|перплексия",
    "reward": r"наград[аы]|récompenses?|recompensas?|belohnung|ödül|nagroda",
    "avg": r"средн\w+|moyenne|durchschnittlich\w*|ortalama|średni[aey]?",
    "best": r"лучш\w+|meilleure?s?|mejor|melhor|migliore|beste[rsn]?|en iyi|najleps\w+",
    "time": r"время|durée|zeit|dauer|tiempo|süre|czas",
}
"""Words of alphabets, between signs, digits and capitals."""
_WORDS: Final = re.compile(
    "|".join(
        [f"(?P<s_{english}>{words})" for english, words in _SIGNS.items()]
        + [
            rf"(?P<l_{english}>(?:(?<![^\W\d_])|(?<=[a-z])(?=[A-Z]))(?i:{words})(?![^\W\d_A-Z]))"
            for english, words in _LETTERS.items()
        ]
    )
)
_COMPOUND: Final = re.compile(r"(?i:(?P<set>training|validierung|test)s?)(?i:(?=verlust|fehler|genauigkeit))")
"""The first half of `Trainingsverlust`."""
_COUNTED: Final = re.compile(
    r"第\s*(?P<at>\d+)\s*(?:/\s*(?P<of>\d+)\s*)?(?:个|個)?\s*(?:(?P<step>步|次迭代|ステップ)|轮|輪|epoch|エポック|周期|期)",
    re.IGNORECASE,
)
"""`第3轮`, `第 100 步`: the number stands inside."""
_OF: Final = re.compile(r"(?<=epoch) (?P<at>\d+) +(?:von|de|sur|di|из|z|van) +(?P<of>\d+)")
_JOINED: Final = re.compile(
    r"(?<=[a-z]) (?:de la|del?|du|di|da|do|della|der|des|на|по|в|的|の) ?(?=(?:train|training|val|validation|test)\b)",
    re.IGNORECASE,
)
"""A word between a quantity and its data set: `perte de validation`."""
_LETTER: Final = re.compile(r"[^\x00-\u00bf\u2000-\u2bff\ufe00-\U0010ffff]")
"""A letter that English does not have, such as one with an accent; bars and arrows are none."""
_STEMS: Final = (
    "verl", "fehler", "genauig", "validier", "perte", "perd", "epoche", "epoca", "epok", "schritt", "lernr", "entra",
    "entre", "trein", "addes", "validac", "validaz", "validas", "exactitud", "acurac", "accuratezza", "walid",
    "trening", "uczen", "kay", "erreur", "paso", "passo", "iterac", "iteraz", "kerugian", "pelatihan", "egitim",
    "dogru", "prueba", "teste", "krok", "zeit", "dauer", "tiempo", "migliore", "mejor", "melhor", "beste", "meilleur",
    "taux", "tasa", "taxa", "tasso", "apprent", "recompensa", "belohnung", "nagroda", "moyenne", "durchschn",
    "ortalama", "hata", "strat",
)  # fmt: skip
"""Of words that are written without such letters. Most lines have none of these and need no closer look."""


def english(text: str) -> str:
    """A text with its words for losses, data sets, epochs and the like in English. English stays as it is.

    >>> english("val_loss: 0.5"), english("验证损失"), english("Validierungsverlust"), english("perte_val")
    ('val_loss: 0.5', 'val loss', 'val loss', 'loss _val')
    >>> english("第3轮 训练损失: 0.5"), english("Эпоха 3 из 20: потери на обучении = 0,5")
    ('epoch 3 train loss : 0.5', 'epoch 3/20: loss train = 0,5')
    """
    low = text.lower()
    if _LETTER.search(text) is None and not any(stem in low for stem in _STEMS):
        return text
    found = _COUNTED.sub(_count, _COMPOUND.sub(r"\g<set> ", text))
    found = _WORDS.sub(lambda word: f" {str(word.lastgroup)[2:]} ", found)
    if found == text:
        return text
    return _OF.sub(r" \g<at>/\g<of>", _JOINED.sub(" ", re.sub(" {2,}", " ", found))).strip()


def _count(found: re.Match[str]) -> str:
    return f" {'step' if found['step'] else 'epoch'} {found['at']}{'/' + found['of'] if found['of'] else ''} "
