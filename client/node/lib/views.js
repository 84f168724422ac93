// Views of memory that may not be written.
import { ReadOnlyError } from "./errors.js";

/** As a DataView, but whatever sets something throws a ReadOnlyError. */
export class ReadOnlyDataView extends DataView {}

for (const name of Object.getOwnPropertyNames(DataView.prototype).filter((each) => each.startsWith("set"))) {
  Object.defineProperty(ReadOnlyDataView.prototype, name, {
    value() {
      throw new ReadOnlyError();
    },
    writable: true,
    configurable: true,
  });
}
