// What TypeScript says to programs that use the package. Checked by tsc, never run.
import * as shmd from "../index.js";

const client: shmd.Client = await shmd.connect({ socket: "/run/shmd/io.shmd.Segments" });
