/*
 * Runs a fuzz target over the files of its corpus, without libFuzzer: each file is one test case of
 * the regression suite. Output is TAP.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    size_t size = (size_t)ftell(f);
    rewind(f);
    /* Exactly as large as the input, so that a sanitizer sees the first byte read beyond it. */
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (data == NULL || fread(data, 1, size, f) != size) {
        perror(path);
        exit(1);
    }
    fclose(f);
    (void)LLVMFuzzerTestOneInput(data, size); /* targets report by aborting */
    free(data);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 64;
    }
    struct dirent **names = NULL;
    int count = scandir(argv[1], &names, NULL, alphasort);
    int ran = 0;
    for (int i = 0; i < count && ran < FILES_MAX; i++) {
        if (names[i]->d_name[0] != '.') {
            char path[4096];
            snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]->d_name);
            run_file(path);
            printf("ok %d - %s\n", ++ran, names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    if (ran == 0) {
        printf("Bail out! the corpus %s is empty\n", argv[1]);
        return 1;
    }
    printf("1..%d\n", ran);
    return 0;
}
