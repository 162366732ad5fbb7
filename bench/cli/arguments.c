/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/arguments.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { MAX_OPTIONS = 96, HELP_COLUMN = 30, HELP_WIDTH = 80 };

static const struct cli_option *find_option(const struct cli_command *command, const char *name,
                                            size_t length)
{
    for (size_t i = 0; i < command->n_options; i++) {
        const struct cli_option *option = &command->options[i];
        if (strlen(option->name) == length && strncmp(option->name, name, length) == 0)
            return option;
    }
    return NULL;
}

static enum vb_status unknown_option(const struct cli_command *command, const char *argument,
                                     struct vb_error *err)
{
    const char *names[MAX_OPTIONS];
    size_t n = 0;
    for (size_t i = 0; i < command->n_options && n < MAX_OPTIONS; i++)
        names[n++] = command->options[i].name;

    char word[64];
    (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    const char *near = vb_text_nearest(word, names, n);
    if (near != NULL)
        return vb_fail(err, VB_E_INPUT, "unknown option --%s; did you mean --%s?", word, near);
    return vb_fail(err, VB_E_INPUT, "unknown option --%s; --help lists those there are", word);
}

static enum vb_status add_value(struct cli_values *values, const char *text, struct vb_error *err)
{
    if (values->n == sizeof values->items / sizeof *values->items)
        return vb_fail(err, VB_E_INPUT, "more than %zu values; put them in a file instead",
                       values->n);
    values->items[values->n++] = text;
    return VB_OK;
}

/* Reads the option at argv[*at] and leaves *at on the last argument that it took. */
static enum vb_status parse_option(const struct cli_command *command, int argc, char **argv,
                                   int *at, struct vb_error *err)
{
    const char *argument = argv[*at];
    size_t length = strcspn(argument + 2, "=");
    const struct cli_option *option = find_option(command, argument + 2, length);
    if (option == NULL)
        return unknown_option(command, argument, err);

    const char *text = argument[2 + length] == '=' ? argument + 2 + length + 1 : NULL;
    if (option->placeholder == NULL && text != NULL)
        return vb_fail(err, VB_E_INPUT, "--%s takes no value", option->name);
    if (option->placeholder == NULL)
        text = "on";
    if (text == NULL && *at + 1 == argc)
        return vb_fail(err, VB_E_INPUT, "--%s needs a value: --%s %s", option->name, option->name,
                       option->placeholder);
    if (text == NULL)
        text = argv[++*at];

    if (option->values != NULL)
        return add_value(option->values, text, err);
    *option->value = text;
    return VB_OK;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

enum vb_status cli_parse(const struct cli_command *command, int argc, char **argv,
                         struct cli_values *positional, bool *help, struct vb_error *err)
{
    *help = asks_for_help(argc, argv);
    if (*help)
        return VB_OK;

    static char out[] = "--out";
    bool options_end = false;
    for (int i = 1; i < argc; i++) {
        enum vb_status status;
        if (!options_end && strcmp(argv[i], "-o") == 0 && find_option(command, "out", 3) != NULL)
            argv[i] = out;
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
            continue;
        }
        if (!options_end && strncmp(argv[i], "--", 2) == 0)
            status = parse_option(command, argc, argv, &i, err);
        else if (!options_end && argv[i][0] == '-' && argv[i][1] != '\0')
            status = vb_fail(err, VB_E_INPUT, "unknown option %s; options begin with two dashes",
                             argv[i]);
        else
            status = add_value(positional, argv[i], err);
        if (status != VB_OK)
            return status;
    }
    if (positional->n < command->min_positional || positional->n > command->max_positional)
        return vb_fail(err, VB_E_INPUT, "%zu arguments given; usage: %s", positional->n,
                       command->usage);
    return VB_OK;
}

/* Prints `text` from HELP_COLUMN on, broken at blanks so that no line is wider than HELP_WIDTH. */
static void print_wrapped(const char *text, int column)
{
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column + (int)word > HELP_WIDTH) {
            printf("\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        printf("%.*s", (int)word, text);
        column += (int)word;
        text += word;
        if (*text == ' ') {
            text++;
            if (column + 1 + (int)strcspn(text, " ") <= HELP_WIDTH)
                putchar(' ');
            column++;
        }
    }
    putchar('\n');
}

void cli_print_help(const struct cli_command *command)
{
    printf("usage: %s\n\n%s\n", command->usage, command->summary);
    if (command->n_options > 0)
        printf("\noptions:\n");
    for (size_t i = 0; i < command->n_options; i++) {
        const struct cli_option *option = &command->options[i];
        int width = printf("  --%s%s%s", option->name, option->placeholder != NULL ? " " : "",
                           option->placeholder != NULL ? option->placeholder : "");
        if (width > HELP_COLUMN - 2)
            printf("\n%*s", HELP_COLUMN, "");
        else
            printf("%*s", HELP_COLUMN - width, "");
        print_wrapped(option->help, HELP_COLUMN);
    }
    if (command->examples != NULL)
        printf("\nexamples:\n%s\n", command->examples);
}

int cli_fail(enum vb_status status, const struct vb_error *err)
{
    static const int exit_statuses[] = {
        [VB_OK] = 0,      [VB_E_NO_FIT] = 1, [VB_E_UNSUPPORTED] = 3,
        [VB_E_INPUT] = 2, [VB_E_DEVICE] = 3, [VB_E_SYSTEM] = 3,
    };
    (void)fprintf(stderr, "vrambench: error: %s\n", err->text);
    return exit_statuses[status];
}

bool cli_begin(const struct cli_command *command, int argc, char **argv,
               struct cli_values *positional, int *exit_status)
{
    struct vb_error err = { 0 };
    bool help = false;
    enum vb_status status = cli_parse(command, argc, argv, positional, &help, &err);
    if (status != VB_OK) {
        *exit_status = cli_fail(status, &err);
        return false;
    }
    if (help) {
        cli_print_help(command);
        *exit_status = 0;
        return false;
    }
    return true;
}
