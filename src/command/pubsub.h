/*
 * Channels: who is subscribed, and messages on their way. Private to the command layer.
 */
#ifndef TARN_COMMAND_PUBSUB_H
#define TARN_COMMAND_PUBSUB_H

#include <stdbool.h>
#include <stddef.h>

#include "handler.h"
#include "tarn/command/command.h"
#include "topic.h"

/* Sends the message to all subscribers of the channel (TOPIC_CHANNEL: and of patterns that match
 * it; TOPIC_SHARD_CHANNEL: of that shard channel only). Returns how many messages that were. */
size_t pubsub_publish(struct command_env *env, enum topic_kind kind, struct strview channel,
                      struct strview message);

/* Is anybody subscribed to a channel or a pattern? */
static inline bool pubsub_has_listeners(const struct topics topics[TOPIC_KINDS])
{
    return !list_is_empty(&topics[TOPIC_CHANNEL].all) || !list_is_empty(&topics[TOPIC_PATTERN].all);
}

/* Sets or clears SESSION_SUBSCRIBER after a change. */
void pubsub_update_session(struct session *s);

#endif
