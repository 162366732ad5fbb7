typedef int vb_placeholder; /* removed with the first real file here */
