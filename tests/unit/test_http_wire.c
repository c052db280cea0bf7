/* What uploads to each kind of network destination look like, and what the
 * vendors' answers mean. */
#include "../../gateway/sink/http_wire.h"

#include "lethe/gateway/keys/keyfile.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], secret[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/lethe-wire-XXXXXX");
    if (mkdtemp(folder) == NULL || secrets_init() != ST_OK)
        return -1;
    snprintf(secret, sizeof(secret), "%s/secret", folder);
    int fd = open(secret, O_WRONLY | O_CREAT, 0600);
    bool fine = write(fd, "s3/c\"t\n", 7) == 7;
    close(fd);
    return fine ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(secret) | rmdir(folder);
}

static struct conf_destination mixpanel(enum mixpanel_api api)
{
    return (struct conf_destination){.type = DESTINATION_MIXPANEL,
                                     .api = api,
                                     .url = "https://api.example/",
                                     .secret_file = secret};
}

static struct conf_destination ga4(void)
{
    return (struct conf_destination){.type = DESTINATION_GA4,
                                     .url = "https://ga.example",
                                     .measurement_id = "G-X",
                                     .secret_file = secret};
}

static const struct fragment two[2] = {
    {.body = SLICE_INIT("\"a\":1},\"event\":\"x\"}"),
     .group = SLICE_INIT("1.2 u 99")},
    {.body = SLICE_INIT("\"b\":2},\"event\":\"y\"}"),
     .group = SLICE_INIT("1.2 u 99")}};

static void assert_upload(const struct conf_destination *d, bool testing,
                          unsigned count, const char *url, const char *user,
                          const char *body)
{
    struct net_wire w;
    struct buf out;

    assert_int_equal(net_wire_open(d, testing, &w), ST_OK);
    assert_string_equal(w.url, url);
    if (user == NULL)
        assert_null(w.user);
    else
        assert_string_equal(w.user, user);
    buf_init(&out, 4096);
    net_wire_join(&w, two, count, &out);
    buf_put_char(&out, '\0');
    assert_string_equal(out.data, body);
    buf_free(&out);
    net_wire_close(&w);
}

static void R2_mixpanel_uploads_ask_for_no_place(void **state)
{
    const struct conf_destination import = mixpanel(MIXPANEL_IMPORT);
    const struct conf_destination track = mixpanel(MIXPANEL_TRACK);

    (void)state;
    assert_upload(&import, false, 2, "https://api.example/import?strict=1&ip=0",
                  "s3/c\"t",
                  "[{\"properties\":{\"a\":1},\"event\":\"x\"},"
                  "{\"properties\":{\"b\":2},\"event\":\"y\"}]");
    assert_upload(&track, false, 1, "https://api.example/track?verbose=1&ip=0",
                  NULL,
                  "[{\"properties\":{\"token\":\"s3/c\\\"t\",\"a\":1},"
                  "\"event\":\"x\"}]");
    assert_upload(&track, true, 0, "https://api.example/track?verbose=1&ip=0",
                  NULL, "[]");
}

static void R15_ga4_consent_is_ours(void **state)
{
    const struct conf_destination d = ga4();

    (void)state;
    assert_upload(&d, false, 1,
                  "https://ga.example/mp/collect?measurement_id=G-X&"
                  "api_secret=s3%2Fc%22t",
                  NULL,
                  "{\"client_id\":\"1.2\",\"user_id\":\"u\","
                  "\"timestamp_micros\":99,\"non_personalized_ads\":true,"
                  "\"consent\":{\"ad_user_data\":\"DENIED\","
                  "\"ad_personalization\":\"DENIED\"},\"events\":["
                  "\"a\":1},\"event\":\"x\"}]}");
    assert_upload(&d, true, 0,
                  "https://ga.example/debug/mp/collect?measurement_id=G-X&"
                  "api_secret=s3%2Fc%22t",
                  NULL,
                  "{\"client_id\":\"1.1\",\"non_personalized_ads\":true,"
                  "\"consent\":{\"ad_user_data\":\"DENIED\","
                  "\"ad_personalization\":\"DENIED\"},\"events\":["
                  "{\"name\":\"lethe_test\",\"params\":{}}]}");
}

/* The outcome of `status` with this body for 4 events; `want` lists what
 * failed, or is NULL. */
static void assert_judged(const struct conf_destination *d, bool testing,
                          int status, const char *answer,
                          enum net_result result, const char *want)
{
    unsigned failed[4];
    char body[512], list[64] = "";
    struct net_wire w;
    struct net_outcome o = {.status = status};

    o.result = status < 300 ? NET_ACCEPTED : NET_REFUSED;
    snprintf(body, sizeof(body), "%s", answer);
    assert_int_equal(net_wire_open(d, testing, &w), ST_OK);
    net_wire_judge(&w, body, strlen(body), 4, failed, &o);
    net_wire_close(&w);
    if (o.result != result)
        fail_msg("%d %s: %d", status, answer, (int)o.result);
    for (unsigned i = 0; i < o.failed_count; i++)
        snprintf(list + strlen(list), 8, "%u", o.failed[i]);
    assert_string_equal(list, want == NULL ? "" : want);
}

static void import_names_what_it_did_not_take(void **state)
{
    const struct conf_destination d = mixpanel(MIXPANEL_IMPORT);
#define FAILED(list) "{\"code\":400,\"failed_records\":[" list "]}"

    (void)state;
    assert_judged(&d, false, 400, FAILED("{\"index\":2},{\"index\":0}"),
                  NET_PARTIAL, "02");
    assert_judged(&d, false, 400, FAILED("{\"index\":3},{\"index\":3}"),
                  NET_PARTIAL, "3");
    /* all of them, none, or what makes no sense: the whole batch */
    assert_judged(&d, false, 400,
                  FAILED("{\"index\":0},{\"index\":1},{\"index\":2},"
                         "{\"index\":3}"),
                  NET_REFUSED, NULL);
    assert_judged(&d, false, 400, FAILED(""), NET_REFUSED, NULL);
    assert_judged(&d, false, 400, FAILED("{\"index\":4}"), NET_REFUSED, NULL);
    assert_judged(&d, false, 400, FAILED("{\"index\":-1}"), NET_REFUSED, NULL);
    assert_judged(&d, false, 400, FAILED("{\"index\":\"1\"}"), NET_REFUSED,
                  NULL);
    assert_judged(&d, false, 400, FAILED("1"), NET_REFUSED, NULL);
    assert_judged(&d, false, 400, "{\"failed_records\":{\"index\":1}}",
                  NET_REFUSED, NULL);
    assert_judged(&d, false, 400, "not json", NET_REFUSED, NULL);
    assert_judged(&d, false, 400, "", NET_REFUSED, NULL);
    assert_judged(&d, false, 413, FAILED("{\"index\":1}"), NET_REFUSED, NULL);
    assert_judged(&d, false, 200, "{\"status\":0}", NET_ACCEPTED, NULL);
#undef FAILED
}

static void track_says_no_with_200(void **state)
{
    const struct conf_destination d = mixpanel(MIXPANEL_TRACK);

    (void)state;
    assert_judged(&d, false, 200, "1", NET_ACCEPTED, NULL);
    assert_judged(&d, false, 200, "{\"error\":null,\"status\":1}", NET_ACCEPTED,
                  NULL);
    assert_judged(&d, false, 204, "", NET_ACCEPTED, NULL);
    assert_judged(&d, false, 200, "0", NET_REFUSED, NULL);
    assert_judged(&d, false, 200, "{\"error\":\"some\",\"status\":0}",
                  NET_REFUSED, NULL);
    assert_judged(&d, false, 400, "{\"failed_records\":[{\"index\":1}]}",
                  NET_REFUSED, NULL);
}

/* R20: 2xx is what Google says to anything; only its validation address tells
 * more, and only a test asks it. */
static void R20_ga4_faults_count_in_a_test_alone(void **state)
{
    const struct conf_destination d = ga4();
    const char *faults = "{\"validationMessages\":[{\"fieldPath\":\"x\"}]}";

    (void)state;
    assert_judged(&d, true, 200, faults, NET_REFUSED, NULL);
    assert_judged(&d, true, 200, "{\"validationMessages\":[]}", NET_ACCEPTED,
                  NULL);
    assert_judged(&d, false, 200, faults, NET_ACCEPTED, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(R2_mixpanel_uploads_ask_for_no_place),
        cmocka_unit_test(R15_ga4_consent_is_ours),
        cmocka_unit_test(import_names_what_it_did_not_take),
        cmocka_unit_test(track_says_no_with_200),
        cmocka_unit_test(R20_ga4_faults_count_in_a_test_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
