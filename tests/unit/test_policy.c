#include "policy_case.h"

static const struct rule *field(const struct policy *p, const char *name,
                                const char *path, const char *to)
{
    const struct event_plan *e = event(p, name);

    for (unsigned i = 0; i < e->field_count; i++)
        if (slice_eq(e->fields[i].path, slice_of(path)))
            return &e->to[destination(p, to)].fields[i];
    fail();
    return NULL;
}

static void mixbot_is_compiled(void **state)
{
    (void)state;
    struct policy *p = load(shipped_mixbot());

    assert_int_equal(p->purpose_count, 2);
    assert_int_equal(p->event_count, 6);
    assert_slice(p->destinations[0].name, "store"); /* as in the file */
    assert_slice(p->destinations[4].name, "ga");
    assert_slice(p->destinations[4].transfer, "DPF");
    assert_int_equal(p->destinations[4].tcf_vendor, 755);
    assert_true(p->destinations[4].release_boundary);
    assert_int_equal(p->destinations[4].time_round_ms, MS_PER_MIN);
    assert_int_equal(p->destinations[4].rotate_at_ms, 4 * MS_PER_H);
    assert_int_equal(p->destinations[4].visitor[0], ID_DEVICE);
    assert_int_equal(p->gpc, SIGNAL_DENY_CONSENT);
    assert_int_equal(p->dnt, SIGNAL_DENY);
    assert_int_equal(p->purposes[1].tcf, 0x81);
    assert_true(p->purposes[1].consent_mode_analytics);
    assert_true(p->unidentified_allow);
    assert_int_equal(p->keep_records.months, 12);
    assert_int_equal(strlen(p->hash_text), 64);
    policy_unref(p);
}

static void events_are_found_by_their_names(void **state)
{
    (void)state;
    struct policy *p = load(shipped_mixbot());

    assert_slice(event(p, "file_upload")->out_name, "file_upload");
    assert_ptr_equal(event(p, "File Uploaded"), event(p, "file_upload"));
    assert_null(policy_find_event(p, SLICE("file uploaded")));
    assert_null(policy_find_event(p, SLICE("")));
    assert_int_equal(policy_find_destination(p, SLICE("nobody")), -1);
    policy_unref(p);
}

static void wildcards_follow_exact_names_longest_first(void **state)
{
    (void)state;
    struct policy *p =
        mixbot_with("\"page_view\":", "\"a_*\": {\"purpose\": \"audience\", "
                                      "\"as\": \"a\"}, \"a_b_*\": "
                                      "{\"purpose\": \"audience\", \"as\": "
                                      "\"ab\"}, \"a_b_c\": {\"purpose\": "
                                      "\"audience\"}, \"*\": {\"purpose\": "
                                      "\"audience\", \"as\": \"rest\"}, "
                                      "\"page_view\":");

    assert_slice(event(p, "a_b_c")->out_name, "a_b_c");
    assert_slice(event(p, "a_b_d")->out_name, "ab");
    assert_slice(event(p, "a_c")->out_name, "a");
    assert_slice(event(p, "b")->out_name, "rest");
    policy_unref(p);
}

static void overrides_replace_the_kind_for_one_destination(void **state)
{
    (void)state;
    struct policy *p = load(shipped_mixbot());
    const struct rule *all = field(p, "file_upload", "file_size", "mp");
    const struct rule *ga = field(p, "file_upload", "file_size", "ga");

    assert_int_equal(all->as.number.bucket_count, 0);
    assert_true(all->as.number.clamp);
    assert_int_equal(ga->as.number.bucket_count, 2);
    assert_slice(ga->as.number.bucket_texts[0], "<10485760");
    assert_slice(ga->as.number.bucket_texts[1], "10485760-52428800");
    assert_slice(ga->as.number.bucket_texts[2], ">=52428800");
    assert_int_equal(field(p, "file_upload", "file_name", "ga")->kind,
                     RULE_DROP);
    assert_slice(field(p, "file_upload", "file_name", "mp")->out_name,
                 "file_extension");
    const struct event_plan *e = event(p, "page_view");
    assert_int_equal(e->to[destination(p, "ga")].context[CTX_URL]->kind,
                     RULE_DROP);
    assert_int_equal(e->to[destination(p, "mp")].context[CTX_URL]->kind,
                     RULE_URL);
    policy_unref(p);
}

/* `for` limits a value; an override that says nothing of it must not widen. */
static void overrides_keep_the_modifiers(void **state)
{
    (void)state;
    struct policy *p = mixbot_with(
        "\"outside\": \"clamp\"}, \"label\"",
        "\"outside\": \"clamp\"}, \"for\": \"audience\", \"as\": \"size\", "
        "\"label\"");
    const struct rule *ga = field(p, "file_upload", "file_size", "ga");

    assert_int_equal(ga->purposes, 1);
    assert_slice(ga->out_name, "size");
    policy_unref(p);
}

static void numbers_know_their_decimals(void **state)
{
    (void)state;
    struct policy *p = load(shipped_mixbot());

    assert_int_equal(
        field(p, "genre_detection", "confidence", "mp")->as.number.decimals, 1);
    assert_int_equal(
        field(p, "file_upload", "file_size", "mp")->as.number.decimals, 0);
    policy_unref(p);
}

static void enums_are_sorted_and_folded(void **state)
{
    (void)state;
    struct policy *p = load(shipped_mixbot());
    const struct rule *r = field(p, "daw_selection", "daw", "mp");

    assert_int_equal(r->as.words.count, 7);
    assert_slice(r->as.words.words[0].text, "ableton live");
    assert_slice(r->as.words.words[0].out, "Ableton Live");
    assert_slice(r->as.words.other, "Other");
    r = field(p, "file_upload", "file_type", "mp");
    assert_int_equal(r->as.words.count, 5);
    for (unsigned i = 1; i < r->as.words.count; i++)
        assert_true(memcmp(r->as.words.words[i - 1].text.at,
                           r->as.words.words[i].text.at, 8) <= 0);
    policy_unref(p);
}

static void rules_have_names(void **state)
{
    (void)state;
    struct policy *p = load(shipped_mixbot());

    assert_slice(policy_rule_name(p, 1), "identifiers.user");
    assert_slice(policy_rule_name(p, event(p, "file_upload")->number),
                 "events.file_upload");
    assert_slice(
        policy_rule_name(p, field(p, "file_upload", "file_size", "ga")->number),
        "destinations.ga.rules.events.file_upload.fields.file_size");
    assert_slice(policy_rule_name(p, p->rule_count + 1), "");
    assert_slice(policy_rule_name(p, 0), "");
    assert_true(policy_rule_name(p, p->rule_count).len > 0);
    policy_unref(p);
}

/* The slot of `key` in a table, or NULL. */
static const struct key_slot *slot(const struct key_table *t, const char *key)
{
    uint32_t i = policy_key_hash(slice_of(key)) & t->mask;

    for (; t->slots[i].key.at != NULL; i = (i + 1) & t->mask)
        if (slice_eq(t->slots[i].key, slice_of(key)))
            return &t->slots[i];
    return NULL;
}

static void nested_paths_become_tables(void **state)
{
    (void)state;
    struct policy *p = mixbot_with(
        "\"fields\": {}",
        "\"fields\": {\"cart.total\": {\"bool\": {}, \"from\": [\"sum\"], "
        "\"names\": \"t\"}, \"items[].price\": \"bool\", \"tags[]\": "
        "\"bool\", \"x_*\": \"drop\", \"x_y_*\": \"drop\", \"cart.*\": "
        "\"drop\"}");
    const struct event_plan *e = event(p, "page_view");

    assert_int_equal(e->field_count, 6);
    const struct key_slot *cart = slot(e->keys, "cart");
    const struct key_slot *total = slot(cart->inside, "total");
    assert_int_equal(cart->field, -1);
    assert_false(cart->inside->of_elements);
    assert_true(cart->inside->wildcard >= 0);
    assert_int_equal(total->rank, 0);
    assert_int_equal(slot(e->keys, "sum")->field, total->field);
    assert_int_equal(slot(e->keys, "sum")->rank, 1);
    assert_int_equal(slot(e->keys, "t")->rank, 2);
    assert_true(slot(e->keys, "items")->inside->of_elements);
    assert_true(e->fields[slot(e->keys, "tags")->field].many);
    assert_null(slot(e->keys, "tags")->inside);
    assert_int_equal(e->keys->prefix_count, 2);
    assert_slice(e->keys->prefixes[0].prefix, "x_y_");
    assert_slice(field(p, "page_view", "items[].price", "mp")->out_name,
                 "items.price");
    policy_unref(p);
}

static bool same_decides(const struct policy *a, const struct policy *b,
                         const char *name, const char *to)
{
    return memcmp(event(a, name)->to[destination(a, to)].decides,
                  event(b, name)->to[destination(b, to)].decides, 8) == 0;
}

/* storage.md 2: what decides purges the queue, words do not. */
static void decides_changes_with_what_decides(void **state)
{
    static const struct {
        const char *from, *to;
        bool file_upload_ga, page_view_store;
    } data_set[] = {
        /* version, labels, texts: nothing */
        {"\"version\": \"1\"", "\"version\": \"2\"", true, true},
        {"\"A mix was uploaded\"", "\"A file\"", true, true},
        {"\"Count visits, uploads", "\"Count everything", true, true},
        {"\"Mixpanel, Inc.\"", "\"Mixpanel\"", true, true},
        /* one event */
        {"[\"wav\", \"mp3\", \"flac\"]", "[\"wav\"]", true, true},
        {"[10485760, 52428800]", "[10485760]", false, true},
        /* everything */
        {"\"dnt\": \"deny\"", "\"dnt\": \"deny-consent\"", false, false},
        {"\"session\": \"pseudonym\"", "\"session\": \"drop\"", false, false},
        {"\"bits\": 24", "\"bits\": 25", false, false},
        {"\"unidentified\": \"allow\"", "\"unidentified\": \"deny\"", false,
         false},
        {"\"PT1M\"", "\"PT2M\"", false, false},
        {"\"tcf\": \"enforce\"}", "\"tcf\": {\"max_age\": \"P1M\"}}", false,
         false},
        {"\"tcf\": \"enforce\"}",
         "\"tcf\": \"enforce\", \"headers\": {\"A\": {\"then\": \"deny\"}}}",
         false, false},
        {"\"tcf\": \"enforce\"}",
         "\"tcf\": \"enforce\", \"fields\": {\"a.b\": {\"then\": \"deny\"}}}",
         false, false},
        {"\"tcf\": \"enforce\"}",
         "\"tcf\": \"enforce\", \"from_properties\": {\"tcf\": \"a\"}}", false,
         false},
        /* one purpose */
        {"\"tcf\": [1, 8]",
         "\"tcf\": {\"purposes\": [1, 8], \"legitimate_interest\": [8]}", false,
         true},
        {"\"tcf\": [1, 8]",
         "\"tcf\": {\"purposes\": [1, 8], \"purpose_one_not_asked\": \"DE\"}",
         false, true},
        {"\"consent\", \"retention\": \"P13M\"",
         "\"consent\", \"retention\": \"P12M\"", false, true},
        {"\"tcf\": [1, 8]", "\"tcf\": [1]", false, true},
        /* one destination */
        {"\"release\": \"boundary\"", "\"release\": \"live\"", false, true},
        {"\"tcf_vendor\": 755", "\"tcf_vendor\": 756", false, true},
    };

    (void)state;
    struct policy *a = load(shipped_mixbot());
    for (size_t i = 0; i < sizeof(data_set) / sizeof(data_set[0]); i++) {
        struct policy *b = mixbot_with(data_set[i].from, data_set[i].to);
        assert_true(memcmp(a->hash, b->hash, 32) != 0);
        if (same_decides(a, b, "file_upload", "ga") !=
                data_set[i].file_upload_ga ||
            same_decides(a, b, "page_view", "store") !=
                data_set[i].page_view_store)
            fail_msg("%s -> %s", data_set[i].from, data_set[i].to);
        policy_unref(b);
    }
    policy_unref(a);
}

/* The order of names decides nothing, of signals neither. */
static void signals_in_another_order_are_the_same(void **state)
{
    static const char one[] =
        "\"tcf\": \"enforce\", \"headers\": {\"A\": {\"then\": \"deny\"}, "
        "\"B\": {\"then\": \"deny-consent\", \"is\": [\"0\", \"no\"]}}}";
    static const char other[] =
        "\"tcf\": \"enforce\", \"headers\": {\"B\": {\"is\": [\"0\", \"no\"], "
        "\"then\": \"deny-consent\"}, \"A\": {\"then\": \"deny\"}}}";
    struct policy *a = mixbot_with("\"tcf\": \"enforce\"}", one);
    struct policy *b = mixbot_with("\"tcf\": \"enforce\"}", other);

    (void)state;
    assert_string_equal(a->hash_text, b->hash_text);
    assert_true(same_decides(a, b, "page_view", "store"));
    assert_int_equal(a->header_signal_count, 2);
    assert_slice(a->header_signals[1].name, "B");
    assert_int_equal(a->header_signals[1].is_count, 2);
    assert_int_equal(a->header_signals[1].then, SIGNAL_DENY_CONSENT);
    policy_unref(a);
    policy_unref(b);
}

/* One hash, one numbering: the order of names in the file means nothing. */
static void order_changes_neither_hash_nor_numbers(void **state)
{
    static const char view[] =
        "\"page_view\": {\"purpose\": [\"audience\", \"product\"], "
        "\"label\": \"A page was opened\", \"fields\": {}},";
    static const char last[] = "\"format\": {\"enum\": [\"pdf\", \"txt\", "
                               "\"html\"], \"other\": \"other\"}}}";
    char end[512];
    struct slice text = shipped_mixbot();
    struct buf b;

    (void)state;
    (void)snprintf(end, sizeof(end), "%s, %.*s", last, (int)sizeof(view) - 2,
                   view);
    struct policy *p = load(text);
    buf_init(&b, TEXT_MAX);
    for (size_t i = 0; i < text.len;) {
        if (slice_starts(slice_skip(text, i), slice_of(view))) {
            i += sizeof(view) - 1;
        } else if (slice_starts(slice_skip(text, i), slice_of(last))) {
            buf_put(&b, slice_of(end));
            i += sizeof(last) - 1;
        } else {
            buf_put_char(&b, text.at[i++]);
        }
    }
    struct policy *moved = load(buf_slice(&b));
    assert_string_equal(p->hash_text, moved->hash_text);
    assert_slice(moved->events[5].name, "page_view");
    assert_int_equal(event(p, "page_view")->number,
                     event(moved, "page_view")->number);
    for (unsigned i = 1; i <= p->rule_count; i++)
        assert_true(
            slice_eq(policy_rule_name(p, i), policy_rule_name(moved, i)));
    assert_true(same_decides(p, moved, "page_view", "ga"));
    policy_unref(p);
    policy_unref(moved);
    buf_free(&b);
}

static void order_of_fields_decides_nothing(void **state)
{
    (void)state;
    struct policy *p = mixbot_with(
        "\"fields\": {}", "\"fields\": {\"a\": \"bool\", \"b\": \"host\"}");
    struct policy *q = mixbot_with(
        "\"fields\": {}", "\"fields\": {\"b\": \"host\", \"a\": \"bool\"}");

    assert_string_equal(p->hash_text, q->hash_text);
    assert_true(same_decides(p, q, "page_view", "mp"));
    assert_int_equal(field(p, "page_view", "b", "mp")->number,
                     field(q, "page_view", "b", "mp")->number);
    assert_slice(q->events[0].fields[0].path, "a"); /* by name */
    policy_unref(p);
    policy_unref(q);
}

/* The hash's form, loaded as a policy, has the same hash: what `null` removed
 * from the extended profile does not come back. */
static void canonical_form_loads_to_the_same_hash(void **state)
{
    (void)state;
    struct policy *p = mixbot_with("\"dnt\": \"deny\"", "\"dnt\": null");
    struct policy *again;
    struct buf b;

    buf_init(&b, TEXT_MAX);
    assert_int_equal(json_canonical(json_tree_root(p->resolved), &b), ST_OK);
    again = load(buf_slice(&b));
    assert_string_equal(p->hash_text, again->hash_text);
    policy_unref(p);
    policy_unref(again);
    buf_free(&b);
}

static void shipped_profiles_are_there(void **state)
{
    static const char *const names[] = {"cnil-strict", "cnil-pragmatic",
                                        "cnil-exempt", "mixbot"};
    struct slice text = SLICE_NONE;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct json_tree *tree = NULL;
        struct json_complaint c;
        assert_int_equal(policy_shipped(NULL, slice_of(names[i]), &text),
                         ST_OK);
        assert_int_equal(json_tree_read(text, true, &tree, &c), ST_OK);
        json_tree_free(tree);
    }
    text = SLICE_NONE;
    assert_int_equal(policy_shipped(NULL, SLICE("cnil"), &text), ST_UNKNOWN);
    assert_null(text.at);
}

/* What a policy extends passes the profile of the same name. */
static void profiles_pass_their_own_checks(void **state)
{
    static const char *const names[] = {"cnil-strict", "cnil-pragmatic",
                                        "cnil-exempt"};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct buf b;
        buf_init(&b, TEXT_MAX);
        buf_printf(
            &b,
            "{\"format\": 1, \"policy\": \"p\", \"version\": \"1\", "
            "\"extends\": \"%s\", \"controller\": {\"name\": \"n\", "
            "\"contact\": \"c\"}, \"hosting\": {\"region\": \"EU\", "
            "\"processors\": []}, \"purposes\": {\"a\": {\"basis\": "
            "\"legitimate-interest\", \"exempt\": true, \"retention\": "
            "\"P25M\"}}, \"events\": {\"page_view\": {\"purpose\": \"a\"}}, "
            "\"destinations\": {\"store\": {\"role\": \"controller\", "
            "\"country\": \"FR\", \"recipient\": \"ourselves\", \"profile\": "
            "\"%s\", \"purposes\": [\"a\"]}}}",
            names[i], names[i]);
        policy_unref(load(buf_slice(&b)));
        buf_free(&b);
    }
}

static void references_are_counted(void **state)
{
    (void)state;
    struct policy *p = load(shipped_mixbot());

    assert_ptr_equal(policy_ref(p), p);
    policy_unref(p);
    assert_int_equal(p->purpose_count, 2);
    policy_unref(p);
    policy_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixbot_is_compiled),
        cmocka_unit_test(events_are_found_by_their_names),
        cmocka_unit_test(wildcards_follow_exact_names_longest_first),
        cmocka_unit_test(overrides_replace_the_kind_for_one_destination),
        cmocka_unit_test(overrides_keep_the_modifiers),
        cmocka_unit_test(numbers_know_their_decimals),
        cmocka_unit_test(enums_are_sorted_and_folded),
        cmocka_unit_test(rules_have_names),
        cmocka_unit_test(nested_paths_become_tables),
        cmocka_unit_test(decides_changes_with_what_decides),
        cmocka_unit_test(signals_in_another_order_are_the_same),
        cmocka_unit_test(order_changes_neither_hash_nor_numbers),
        cmocka_unit_test(order_of_fields_decides_nothing),
        cmocka_unit_test(canonical_form_loads_to_the_same_hash),
        cmocka_unit_test(shipped_profiles_are_there),
        cmocka_unit_test(profiles_pass_their_own_checks),
        cmocka_unit_test(references_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
