/*
 * Error texts that more than one command gives, worded as Redis 7 words them: clients and their
 * test suites compare them. A text used by one command only stays in its file.
 */
#ifndef TARN_COMMAND_ERRORS_H
#define TARN_COMMAND_ERRORS_H

#define ERROR_SYNTAX        "ERR syntax error"
#define ERROR_NOT_INTEGER   "ERR value is not an integer or out of range"
#define ERROR_NOT_FLOAT     "ERR value is not a valid float"
#define ERROR_OUT_OF_RANGE  "ERR value is out of range"
#define ERROR_NO_KEY        "ERR no such key"
#define ERROR_SAME_OBJECT   "ERR source and destination objects are the same"
#define ERROR_DB_INDEX      "ERR DB index is out of range"
#define ERROR_TOO_LONG      "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
#define ERROR_WRONG_TYPE    "WRONGTYPE Operation against a key holding the wrong kind of value"
#define ERROR_NO_AUTH       "NOAUTH Authentication required."
#define ERROR_OUT_OF_MEMORY "OOM command not allowed when used memory > 'maxmemory'."

#endif
