/** Version of the program, as /version and `--version` show it. */
export const VERSION = "0.1.0";
