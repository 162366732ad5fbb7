int cmd_sweep(int argc, char **argv);
int cmd_sweep(int argc, char **argv) { (void)argc; (void)argv; return 3; }
