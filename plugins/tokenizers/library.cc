// library.cc: SentencePiece's library behind library.h.     Kudo & Richardson 2018
#include "library.h"

#include <cstdio>
#include <exception>
#include <sentencepiece_processor.h>
#include <string>
#include <vector>

namespace sentencepiece {
namespace logging {
void SetMinLogLevel(int level) __attribute__((weak)); // in no header; it prints what it also returns
}
} // namespace sentencepiece

struct library_model {
    sentencepiece::SentencePieceProcessor processor;
    std::vector<int32_t> ids;
    std::string normal, text;
};

static void explain(char *why, const char *text) { std::snprintf(why, LIBRARY_WHY, "%s", text); }

// What the library says, without the place in its sources: "src/x.cc(12) [status] the rest".
static void explain(char *why, const sentencepiece::util::Status &status)
{
    const std::string message = status.message();
    const size_t place = message.find(") [");
    explain(why, place == std::string::npos ? message.c_str() : message.c_str() + place + 2);
}

extern "C" library_model *library_open(const void *model, size_t bytes, char *why)
{
    library_model *m = nullptr;
    try {
        if (sentencepiece::logging::SetMinLogLevel) sentencepiece::logging::SetMinLogLevel(4);
        m = new library_model;
        const auto status = m->processor.LoadFromSerializedProto({ static_cast<const char *>(model), bytes });
        if (status.ok()) return m;
        explain(why, status);
    } catch (const std::exception &e) {
        explain(why, e.what());
    } catch (...) {
        explain(why, "the library gave up");
    }
    delete m;
    return nullptr;
}

extern "C" void library_close(library_model *m) { delete m; }

extern "C" void library_info(const library_model *m, int64_t *pieces, int64_t *pad, int64_t *eos, int64_t *unk)
{
    *pieces = m->processor.GetPieceSize();
    *pad = m->processor.pad_id();
    *eos = m->processor.eos_id();
    *unk = m->processor.unk_id();
}

// The pieces' texts, one after the other, are the normalised text; a piece that stands for a byte is called <0xNN>.
static void append_piece(const sentencepiece::SentencePieceProcessor &p, int id, const std::string &piece,
                         std::string *to)
{
    unsigned byte = 0;
    if (p.IsByte(id) && std::sscanf(piece.c_str(), "<0x%2X>", &byte) == 1) {
        to->push_back(static_cast<char>(byte));
    } else {
        to->append(piece);
    }
}

extern "C" bool library_encode(library_model *m, const char *text, size_t bytes, const int32_t **ids, int64_t *n,
                               const char **normal, size_t *length, char *why)
{
    try {
        sentencepiece::ImmutableSentencePieceText cut;
        const auto status = m->processor.Encode({ text, bytes }, cut.mutable_proto());
        if (!status.ok()) {
            explain(why, status);
            return false;
        }
        m->ids.clear();
        m->normal.clear();
        for (size_t i = 0; i < cut.pieces_size(); i++) {
            const auto piece = cut.pieces(static_cast<int>(i));
            m->ids.push_back(static_cast<int32_t>(piece.id()));
            append_piece(m->processor, static_cast<int>(piece.id()), piece.piece(), &m->normal);
        }
        m->ids.reserve(1); // never a NULL
        *ids = m->ids.data();
        *n = static_cast<int64_t>(m->ids.size());
        *normal = m->normal.data();
        *length = m->normal.size();
        return true;
    } catch (const std::exception &e) {
        explain(why, e.what());
    } catch (...) {
        explain(why, "the library gave up");
    }
    return false;
}

extern "C" bool library_decode(library_model *m, const int32_t *ids, int64_t n, const char **text, size_t *bytes,
                               char *why)
{
    try {
        const auto status = m->processor.Decode(std::vector<int>(ids, ids + n), &m->text);
        if (!status.ok()) {
            explain(why, status);
            return false;
        }
        *text = m->text.data();
        *bytes = m->text.size();
        return true;
    } catch (const std::exception &e) {
        explain(why, e.what());
    } catch (...) {
        explain(why, "the library gave up");
    }
    return false;
}
