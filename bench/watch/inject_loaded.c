/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/inject_loaded.h"

#include <link.h>
#include <stdio.h>
#include <string.h>

struct name_search {
    const char *name;
    char *path;
    size_t room;
};

static int match_name(struct dl_phdr_info *info, size_t size, void *context)
{
    struct name_search *search = context;
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name = slash != NULL ? slash + 1 : info->dlpi_name;
    (void)size;
    if (strncmp(name, search->name, strlen(search->name)) != 0)
        return 0;
    (void)snprintf(search->path, search->room, "%s", info->dlpi_name);
    return 1;
}

bool vb_loaded_find(const char *name, char *path, size_t room)
{
    struct name_search search = { name, path, room };
    return dl_iterate_phdr(match_name, &search) != 0;
}

struct code_search {
    uint64_t address;
    struct vb_loaded_code *out;
};

static int match_code(struct dl_phdr_info *info, size_t size, void *context)
{
    const struct code_search *search = context;
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uint64_t from = info->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD || search->address < from ||
            search->address - from >= part->p_memsz)
            continue;
        *search->out = (struct vb_loaded_code){ .from = from,
                                                .to = from + part->p_memsz,
                                                .offset = part->p_offset };
        (void)snprintf(search->out->path, sizeof search->out->path, "%s", info->dlpi_name);
        return 1;
    }
    return 0;
}

bool vb_loaded_code_at(uint64_t address, struct vb_loaded_code *out)
{
    struct code_search search = { address, out };
    return dl_iterate_phdr(match_code, &search) != 0;
}
