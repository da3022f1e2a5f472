/*
 * Who may: the password of the only user there is, and those who guess at it. Private to the
 * command layer.
 */
#ifndef TARN_COMMAND_AUTH_H
#define TARN_COMMAND_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "tarn/base/strview.h"
#include "tarn/command/command.h"

#define ERROR_WRONG_PASSWORD "WRONGPASS invalid username-password pair or user is disabled."

#define AUTH_GUESSERS 64 /* addresses remembered */
/* Wrong passwords from one address within a minute without a delay. */
#define AUTH_GUESSES_FREE 10
#define AUTH_DELAY_MS     1000

/* Wrong passwords by address; an address may push another out of its place. */
struct auth_guesser {
    uint64_t address; /* hashed */
    int64_t since_ms; /* of the minute */
    unsigned count;
};
struct auth {
    struct auth_guesser guessers[AUTH_GUESSERS];
};

/* Does the server ask for a password? */
static inline bool auth_is_required(const struct command_env *env)
{
    return env->command_options->requirepass.is_set;
}

/* Authenticates the session, or delays its reply when its address guessed often. */
bool auth_try(struct command_env *env, struct session *s, struct strview user,
              struct strview password) WARN_UNUSED;

/* May the session run commands? Lets those in who came before a password was taken away. */
bool auth_admits(struct command_env *env, struct session *s);

#endif
