/* fc_sites.h: one FCBlock per site of a network, which the schemes of this plugin share.
 *   e_i = FCBlock(inputs, C_i)(v),  v [B,inputs] -> e_i [B,C_i,1,1], which
 * broadcasts over the image (fc_sites_at: over tokens) */
#ifndef CONDITIONING_FC_SITES_H
#define CONDITIONING_FC_SITES_H

#include <drift/plugin.h>

/* Refuses a list of widths that is empty, too long, or holds what is not a width; names the parameter `channels`. */
dr_status fc_sites_check(const char *scheme, const dr_ints *channels);
/* Declares children PREFIX1, PREFIX2, ...: FCBlock(inputs, channels[i]). */
dr_status fc_sites_create(dr_builder *b, const char *prefix, int64_t inputs, const dr_ints *channels, dr_module **site);
/* out[i] = site i of v: [B,C_i,1,1]. */
dr_status fc_sites_embed(dr_module *const *site, int64_t n, dr_tensor *v, dr_ctx *ctx, dr_tensor **out);
/* e of site i; an error naming the scheme where the network has more sites than `channels` lists. With h, in the shape
 * that dr_film takes beside it: [B,C,1,1] for a map [B,C,H,W], [B,1,C] for tokens [B,L,C]; one row stands for all B.
 * h NULL: as embed left it. */
dr_tensor *fc_sites_at(const char *scheme, dr_tensor *const *e, int site, const dr_ints *channels, dr_tensor *h);
/* time [B] as a column [B,1]; an error naming the scheme where there is none. */
dr_tensor *fc_sites_time(const char *scheme, const dr_batch_cond *c);

#endif
