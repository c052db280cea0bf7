/* page.h - what the files of the privacy page share. For policy/privacy/
 * alone. Everything is escaped on its way out. */
#ifndef POLICY_PRIVACY_PAGE_H
#define POLICY_PRIVACY_PAGE_H

#include "lethe/policy/privacy_page.h"
#include "words.h"

struct page {
    const struct privacy_view *view;
    const struct privacy_words *words;
    const struct json_value *root; /* the policy, resolved */
    struct buf *out;
};

extern const char privacy_style[];

void page_escape(struct buf *out, struct slice s);
/* A text, its holes filled. */
void page_fill(const struct page *p, enum text_id id, struct slice first,
               struct slice second);
void page_text(const struct page *p, enum text_id id);
/* "<tag>text</tag>\n" */
void page_tagged(const struct page *p, const char *tag, enum text_id id);
/* "13 months", in the page's language. */
void page_duration(const struct page *p, struct duration d, struct buf *out);

/* choice.c: state, buttons, what has just happened, how far it reaches. */
void page_choice(const struct page *p);
/* facts.c: what, why, how long, to whom, rights. */
void page_facts(const struct page *p);

#endif
