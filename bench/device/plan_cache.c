/* SPDX-License-Identifier: Apache-2.0 */
/* Files are lines of numbers, only ever appended to, under a lock. Each line ends in a check value
 * of what stands before it: a line cut short by a crash or a full disk, or run into by another, is
 * passed over and its question asked again. A database was rejected: a dependency for two kinds of
 * lines.
 */
#include "device/plan_cache.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"

enum { MAX_CACHE_BYTES = 256 << 20, MAX_PATH = 4096, CHECK_DIGITS = 8 };
enum { N_KEY_NUMBERS = sizeof(struct vb_plan_key) / sizeof(uint32_t) };

#define LIBRARIES_FILE "libraries.txt"

bool vb_plan_cache_folder(char *folder, size_t room)
{
    const char *own = getenv("VRAMBENCH_CACHE");
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int length = -1;

    if (own != NULL)
        length = snprintf(folder, room, "%s", own);
    else if (cache != NULL && cache[0] == '/')
        length = snprintf(folder, room, "%s/vrambench", cache);
    else if (home != NULL && home[0] != '\0')
        length = snprintf(folder, room, "%s/.cache/vrambench", home);
    return length > 0 && (size_t)length < room;
}

static bool cache_path(const char *name, char *path, size_t room)
{
    char folder[MAX_PATH - 128];
    return vb_plan_cache_folder(folder, sizeof folder) &&
           snprintf(path, room, "%s/%s", folder, name) < (int)room;
}

static bool plans_path(uint64_t version, uint64_t identity, char *path, size_t room)
{
    char name[96];
    (void)snprintf(name, sizeof name, "plans-%" PRIu64 "-%016" PRIx64 ".txt", version, identity);
    return cache_path(name, path, room);
}

static uint32_t check_of(const char *line, size_t length)
{
    uint64_t hash = vb_hash(VB_HASH_START, line, length);
    return (uint32_t)(hash ^ (hash >> 32));
}

/* Ends the line that began at `start` of the text. */
static void end_line(struct vb_text *text, size_t start)
{
    if (!text->failed)
        vb_text_append(text, " %08" PRIx32 "\n",
                       check_of(vb_text_data(text) + start, text->length - start));
}

/* Takes the next whole line from `*at`, without its check value and ended by 0; NULL at the end. */
static char *next_line(char **at)
{
    while (**at != '\0') {
        char *line = *at;
        size_t length = strcspn(line, "\n");
        bool is_ended = line[length] == '\n';
        *at = line + length + is_ended;
        line[length] = '\0';
        if (!is_ended || length <= CHECK_DIGITS + 1)
            continue;

        size_t body = length - CHECK_DIGITS - 1;
        char *end = NULL;
        unsigned long check = strtoul(line + body + 1, &end, 16);
        if (line[body] != ' ' || *end != '\0' || check != check_of(line, body))
            continue;
        line[body] = '\0';
        return line;
    }
    return NULL;
}

/* Appends under a lock. Where the last writer was cut off within a line, a new line is begun first.
 */
static void append_text(const char *path, const struct vb_text *text)
{
    char folder[MAX_PATH];
    if (text->failed || text->length == 0 || !vb_plan_cache_folder(folder, sizeof folder) ||
        vb_file_make_folder(folder, NULL) != VB_OK)
        return;
    int file = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0)
        return;

    if (flock(file, LOCK_EX) == 0) {
        struct stat info;
        char last = '\n';
        if (fstat(file, &info) == 0 && info.st_size > 0)
            (void)!pread(file, &last, 1, info.st_size - 1);
        if (last != '\n')
            (void)!write(file, "\n", 1);
        size_t done = 0;
        while (done < text->length) {
            ssize_t n = write(file, text->data + done, text->length - done);
            if (n <= 0)
                break;
            done += (size_t)n;
        }
    }
    (void)close(file); /* and the lock with it */
}

static bool read_cache(const char *path, char **data)
{
    size_t bytes = 0;
    return access(path, R_OK) == 0 &&
           vb_file_read(path, MAX_CACHE_BYTES, data, &bytes, NULL) == VB_OK;
}

/* What tells that the file at `path` is still the one it was. */
static bool stamp_of(const char *path, char *stamp, size_t room)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return false;
    (void)snprintf(stamp, room, "%lld %lld.%09ld", (long long)info.st_size,
                   (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    return true;
}

/* A line: surroundings, version, stamp (two words), path. */
static bool library_of_line(const char *line, uint64_t surroundings, char *path, size_t room,
                            uint64_t *version)
{
    char *end = NULL;
    if (strtoull(line, &end, 16) != surroundings || *end != ' ')
        return false;
    uint64_t found = strtoull(end + 1, &end, 10);
    if (*end != ' ')
        return false;

    const char *stamp = end + 1;
    const char *file = strchr(stamp, '/');
    char now[96];
    if (file == NULL || file == stamp || !stamp_of(file, now, sizeof now))
        return false;
    size_t length = (size_t)(file - stamp) - 1;
    if (strlen(now) != length || strncmp(stamp, now, length) != 0 || strlen(file) >= room)
        return false;
    (void)snprintf(path, room, "%s", file);
    *version = found;
    return true;
}

bool vb_plan_cache_library(uint64_t surroundings, char *path, size_t room, uint64_t *version)
{
    char file[MAX_PATH];
    char *data = NULL;
    if (!cache_path(LIBRARIES_FILE, file, sizeof file) || !read_cache(file, &data))
        return false;

    bool found = false;
    char *at = data;
    for (const char *line = next_line(&at); line != NULL && !found; line = next_line(&at))
        found = library_of_line(line, surroundings, path, room, version);
    free(data);
    return found;
}

void vb_plan_cache_keep_library(uint64_t surroundings, const char *path, uint64_t version)
{
    char file[MAX_PATH];
    char stamp[96];
    if (path[0] != '/' || !cache_path(LIBRARIES_FILE, file, sizeof file) ||
        !stamp_of(path, stamp, sizeof stamp))
        return;

    struct vb_text text = { 0 };
    vb_text_append(&text, "%" PRIx64 " %" PRIu64 " %s %s", surroundings, version, stamp, path);
    end_line(&text, 0);
    append_text(file, &text);
    vb_text_clear(&text);
}

/* The digits after any blank; a process reads millions of them. False: there are none. */
static bool read_digits(const char **text, uint64_t *out)
{
    const char *at = *text + (**text == ' ');
    const char *first = at;
    for (*out = 0; *at >= '0' && *at <= '9'; at++)
        *out = *out * 10 + (uint64_t)(*at - '0');
    *text = at;
    return at > first;
}

/* Reads one entry: the key's numbers in the order of its members, then the answer's; the range is
 * absent where it was not asked for. */
static bool entry_of_line(const char *line, struct vb_plan_entry *entry)
{
    uint32_t key[N_KEY_NUMBERS];
    char *end = NULL;
    for (size_t i = 0; i < N_KEY_NUMBERS; i++) {
        uint64_t number;
        if (!read_digits(&line, &number))
            return false;
        key[i] = (uint32_t)number;
    }
    memcpy(&entry->key, key, sizeof key);

    entry->answer = (struct vb_plan_answer){ .low_bytes = UINT64_MAX };
    entry->answer.engine = strtoll(line, &end, 10);
    line = end;
    uint64_t *const bytes[] = { &entry->answer.workspace_bytes, &entry->answer.low_bytes,
                                &entry->answer.high_bytes };
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        if (i == 1 && *line == '\0')
            return true;
        if (!read_digits(&line, bytes[i]))
            return false;
    }
    return *line == '\0';
}

void vb_plan_cache_load(uint64_t version, uint64_t identity, struct vb_plan_map *map)
{
    char path[MAX_PATH];
    char *data = NULL;
    if (!plans_path(version, identity, path, sizeof path) || !read_cache(path, &data))
        return;

    char *at = data;
    for (const char *line = next_line(&at); line != NULL; line = next_line(&at)) {
        struct vb_plan_entry entry;
        if (entry_of_line(line, &entry) &&
            vb_plan_map_put(map, &entry.key, &entry.answer, NULL) != VB_OK)
            break;
    }
    free(data);
}

void vb_plan_cache_append(uint64_t version, uint64_t identity, const struct vb_plan_map *map,
                          size_t first)
{
    char path[MAX_PATH];
    if (!plans_path(version, identity, path, sizeof path))
        return;

    struct vb_text text = { 0 };
    for (size_t i = first; i < map->n; i++) {
        const struct vb_plan_answer *answer = &map->entries[i].answer;
        size_t start = text.length;
        uint32_t key[N_KEY_NUMBERS];
        memcpy(key, &map->entries[i].key, sizeof key);
        for (size_t j = 0; j < N_KEY_NUMBERS; j++)
            vb_text_append(&text, "%" PRIu32 " ", key[j]);
        vb_text_append(&text, "%" PRId64 " %" PRIu64, answer->engine, answer->workspace_bytes);
        if (vb_plan_has_range(answer))
            vb_text_append(&text, " %" PRIu64 " %" PRIu64, answer->low_bytes, answer->high_bytes);
        end_line(&text, start);
    }
    append_text(path, &text);
    vb_text_clear(&text);
}
