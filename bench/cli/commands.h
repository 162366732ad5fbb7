/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VB_CLI_COMMANDS_H
#define VB_CLI_COMMANDS_H

/* The commands: each is given its own arguments (argv[0] is its name) and returns the exit status.
 * To add one: write cmd_<name>.c, declare it here, list it in main.c. */

int cmd_advise(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_devices(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_estimate(int argc, char **argv);
int cmd_gate(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_fit(int argc, char **argv);
int cmd_models(int argc, char **argv);
int cmd_oracle(int argc, char **argv);
int cmd_point(int argc, char **argv);
int cmd_program(int argc, char **argv);
int cmd_publish(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_schedule(int argc, char **argv);
int cmd_sweep(int argc, char **argv);
int cmd_validate(int argc, char **argv);
int cmd_watch(int argc, char **argv);

#endif
