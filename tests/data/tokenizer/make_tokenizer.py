#!/usr/bin/env python3
"""Makes the tiny vocabulary of this folder: a SentencePiece model and the same as tokenizer.json, in the two forms that
Hugging Face's converters write. Needs sentencepiece and transformers (5, with tokenizers).

    make_tokenizer.py FOLDER
"""
import json
import os
import sys
import tempfile

import sentencepiece
from tokenizers import Regex, normalizers, pre_tokenizers
from transformers import AutoTokenizer

TEXT = """a photo of a small boat on a quiet lake
an oil painting of a boat in the harbour at night
the lake and the harbour, the boat and the night
a small house by the lake; a small harbour by the sea
painting, painter, painted; photo, photograph, photographer
quiet night, quiet sea, quiet house
"""
# A table of normalisation of our own, small, with all that a table can have: many to one, one to many, one to nothing.
RULES = [("\t", " "), ("\n", " "), ("\u3000", " "), ("\u00ad", ""), ("e\u0301", "\u00e9"), ("\ufb01", "fi"), ("\ufb03", "ffi"),
         ("\u2026", "..."), ("\uff21", "A"), ("\uff22", "B")]


def train(folder):
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)                                      # the model records its input's name
        open("text", "w", encoding="utf-8").write(TEXT)
        with open("rules.tsv", "w", encoding="utf-8") as f:
            for a, b in RULES:
                f.write(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n")
        sentencepiece.SentencePieceTrainer.train(
            input="text", model_prefix="m", vocab_size=80, model_type="unigram", hard_vocab_limit=False, num_threads=1,
            normalization_rule_tsv="rules.tsv", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2)
        model = open("m.model", "rb").read()
        os.chdir(here)
    open(os.path.join(folder, "spiece.model"), "wb").write(model)


def main():
    folder = os.path.abspath(sys.argv[1])
    if "--convert" not in sys.argv:
        train(folder)
    with tempfile.TemporaryDirectory() as scratch:             # a folder as users have it
        json.dump({"tokenizer_class": "T5Tokenizer", "extra_ids": 4}, open(os.path.join(scratch, "tokenizer_config.json"), "w"))
        json.dump({"model_type": "t5"}, open(os.path.join(scratch, "config.json"), "w"))
        open(os.path.join(scratch, "spiece.model"), "wb").write(open(os.path.join(folder, "spiece.model"), "rb").read())
        backend = AutoTokenizer.from_pretrained(scratch).backend_tokenizer
    backend.save(os.path.join(folder, "tokenizer.json"))
    # The other form: spaces are joined by the normalizer, not by splitting at them.
    backend.normalizer = normalizers.Sequence([backend.normalizer, normalizers.Strip(left=False, right=True),
                                               normalizers.Replace(Regex(" {2,}"), "\u2581")])
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    backend.save(os.path.join(folder, "tokenizer_joined.json"))


if __name__ == "__main__":
    main()
