/* plugin.c: the plugin of tokenizers. sentencepiece.c opens a SentencePiece model, unigram.c a Hugging Face
 * tokenizer.json of Unigram type; vocabulary.c is what the two share, library.cc the door to libsentencepiece. */
#include <drift/plugin.h>

DR_PLUGIN("tokenizers", "1.0", "Vocabularies of text, by SentencePiece's library")
