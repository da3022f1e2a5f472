/*
 * Passwords. Only the digest is kept; what a client sends is digested and the digests are compared
 * in a time that does not depend on them. An unknown user costs the same as a wrong password, so
 * neither can be told from the other.
 *
 * Guessing: ten wrong passwords per address and minute are answered at once, each further one a
 * second later. Addresses are kept by their hash in a small table without chains: a guesser who has
 * the addresses to push himself out of it is not stopped by a delay either.
 *
 * A session that was let in stays so when a password is set later, as in Redis.
 */
#include "auth.h"

#include <string.h>

#include "observers.h"
#include "tarn/base/log.h"
#include "tarn/store/store.h"

#define MINUTE_MS 60000

/* The address without its port, which is new with every connection. */
static struct strview host_of(const struct session *s)
{
    const char *port = strrchr(s->address, ':');
    return port == NULL ? strview_str(s->address)
                        : strview_of(s->address, (size_t)(port - s->address));
}

static struct auth_guesser *guesser_of(struct command_env *env, const struct session *s)
{
    const uint64_t address = store_hash(env->store, host_of(s));
    struct auth_guesser *g = &env->observers->auth.guessers[address % AUTH_GUESSERS];
    if (g->address != address || env->clock->mono_ms - g->since_ms > MINUTE_MS) {
        *g = (struct auth_guesser){.address = address, .since_ms = env->clock->mono_ms};
    }
    return g;
}

static void on_wrong(struct command_env *env, struct session *s)
{
    env->stats.denied_auths++;
    if (!auth_is_required(env)) {
        return; /* nothing to guess */
    }
    struct auth_guesser *g = guesser_of(env, s);
    g->count++;
    if (g->count == AUTH_GUESSES_FREE) {
        log_warning("%u wrong passwords from %.*s: its next ones are answered slowly", g->count,
                    STRVIEW_ARG(host_of(s)));
    }
    if (g->count > AUTH_GUESSES_FREE) {
        s->blocked_until_ms = env->clock->mono_ms + AUTH_DELAY_MS;
    }
}

bool auth_try(struct command_env *env, struct session *s, struct strview user,
              struct strview password)
{
    const struct option_password *expected = &env->command_options->requirepass;
    unsigned char digest[SHA256_BYTES];
    sha256(password, digest);
    const bool is_password = sha256_eq(digest, expected->sha256) || !expected->is_set;
    const bool is_user = strview_eq(user, strview_str("default"));
    if (!is_password || !is_user) {
        on_wrong(env, s);
        return false;
    }
    s->flags |= SESSION_AUTHENTICATED;
    return true;
}

bool auth_admits(struct command_env *env, struct session *s)
{
    if (!auth_is_required(env)) {
        s->flags |= SESSION_AUTHENTICATED;
    }
    return (s->flags & SESSION_AUTHENTICATED) != 0;
}
