// library.cc: SentencePiece's library behind library.h.     Kudo & Richardson 2018
#include "library.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <sentencepiece_processor.h>
#include <string>
#include <unordered_map>
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
    std::unordered_map<std::string, int32_t> pieces; // those that a text may become
    size_t longest = 0;                              // of them, in bytes
    float unknown = 0;                               // what a character costs that is none of them
};

static void explain(char *why, const char *text) { std::snprintf(why, LIBRARY_WHY, "%s", text); }

// What the library says, without the place in its sources: "src/x.cc(12) [status] the rest".
static void explain(char *why, const sentencepiece::util::Status &status)
{
    const std::string message = status.message();
    const size_t place = message.find(") [");
    explain(why, place == std::string::npos ? message.c_str() : message.c_str() + place + 2);
}

// No exception leaves this file: work() answers with the library's status, whatever else happens is said in `why`.
template <typename Work> static bool succeeds(char *why, const Work &work)
{
    try {
        const sentencepiece::util::Status status = work();
        if (status.ok()) return true;
        explain(why, status);
    } catch (const std::exception &e) {
        explain(why, e.what());
    } catch (...) {
        explain(why, "the library gave up");
    }
    return false;
}

// ---- ties ---------------------------------------------------------------------------------------------------------
// Of two cuts with the same sum of scores ("l" + "ll", "ll" + "l") rounding decides. SentencePiece 0.1.97 compares a
// sum in double with one that was rounded to float, 0.2.3 two floats. Both are computed here, and the later one's ids
// are taken where the earlier one's are what the library said.

static const size_t LONGEST_CUT = 1 << 18; // in bytes; of longer texts the ids are as the library cuts them

static void list_pieces(library_model *m)
{
    const auto &p = m->processor;
    float least = 0;
    bool first = true;
    for (int id = 0; id < p.GetPieceSize(); id++) {
        if (p.IsControl(id) || p.IsUnknown(id) || p.IsUnused(id) || p.IsByte(id)) continue;
        const std::string &piece = p.IdToPiece(id);
        m->pieces.emplace(piece, id);
        m->longest = std::max(m->longest, piece.size());
        least = first ? p.GetScore(id) : std::min(least, p.GetScore(id));
        first = false;
    }
    m->unknown = least - 10.0F; // kUnkPenalty
}

// The best cut of m->normal, sums compared as floats or as doubles. Unknown characters side by side are one piece.
template <typename Sum> static std::vector<int32_t> best_cut(const library_model *m)
{
    struct end { float sum = 0; size_t from = 0; int32_t id = -1; };
    const std::string &text = m->normal;
    const int32_t unk = m->processor.unk_id();
    std::vector<end> ends(text.size() + 1);
    const auto reach = [&](size_t from, size_t to, int32_t id, Sum sum) {
        if (ends[to].id < 0 || sum > static_cast<Sum>(ends[to].sum)) ends[to] = { static_cast<float>(sum), from, id };
    };
    for (size_t at = 0, next; at < text.size(); at = next) {
        next = at + 1;
        while (next < text.size() && (text[next] & 0xC0) == 0x80) next++;
        bool known = false;
        for (size_t to = next; to <= std::min(text.size(), at + m->longest); to++) {
            const auto piece = m->pieces.find(text.substr(at, to - at));
            if (piece == m->pieces.end()) continue;
            known = known || to == next;
            reach(at, to, piece->second, static_cast<Sum>(m->processor.GetScore(piece->second)) + ends[at].sum);
        }
        if (!known) reach(at, next, unk, static_cast<Sum>(m->unknown + ends[at].sum));
    }
    std::vector<int32_t> ids;
    for (size_t to = text.size(); to > 0; to = ends[to].from) {
        const int32_t id = ends[to].id;
        if (id < 0) return {};
        if (id != unk || ids.empty() || ids.back() != unk) ids.push_back(id);
    }
    std::reverse(ids.begin(), ids.end());
    return ids;
}

extern "C" library_model *library_open(const void *model, size_t bytes, char *why)
{
    library_model *m = nullptr;
    const bool opened = succeeds(why, [&] {
        if (sentencepiece::logging::SetMinLogLevel) sentencepiece::logging::SetMinLogLevel(4);
        m = new library_model;
        const auto status = m->processor.LoadFromSerializedProto({ static_cast<const char *>(model), bytes });
        if (status.ok()) list_pieces(m);
        return status;
    });
    if (opened) return m;
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
    return succeeds(why, [&] {
        sentencepiece::ImmutableSentencePieceText cut;
        const auto status = m->processor.Encode({ text, bytes }, cut.mutable_proto());
        if (!status.ok()) return status;
        m->ids.clear();
        m->normal.clear();
        for (size_t i = 0; i < cut.pieces_size(); i++) {
            const auto piece = cut.pieces(static_cast<int>(i));
            m->ids.push_back(static_cast<int32_t>(piece.id()));
            append_piece(m->processor, static_cast<int>(piece.id()), piece.piece(), &m->normal);
        }
        if (m->normal.size() <= LONGEST_CUT && m->ids == best_cut<double>(m)) m->ids = best_cut<float>(m);
        m->ids.reserve(1); // never a NULL
        *ids = m->ids.data();
        *n = static_cast<int64_t>(m->ids.size());
        *normal = m->normal.data();
        *length = m->normal.size();
        return status;
    });
}

extern "C" bool library_decode(library_model *m, const int32_t *ids, int64_t n, const char **text, size_t *bytes,
                               char *why)
{
    return succeeds(why, [&] {
        const auto status = m->processor.Decode(std::vector<int>(ids, ids + n), &m->text);
        *text = m->text.data();
        *bytes = m->text.size();
        return status;
    });
}
