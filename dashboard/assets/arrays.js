// Arrays as Python packs them (`dashboard/charts/figure.py`), and the axis that shows them.

const TYPES = { i4: Int32Array, f4: Float32Array, f8: Float64Array };

const bytes = (text) => Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

const OUTLYING = 0.02;  // the share of values at each end that may be left outside where outliers are ignored

// The ends of a y axis that shows values in rising order, on a log axis their logarithms. What never is below zero is not
// shown there.
// room: the share of the axis above and below them.
export function ends(values, log, ignoring, room) {
  const skipped = ignoring ? Math.floor(OUTLYING * values.length) : 0;
  const low = values[skipped], high = values[values.length - 1 - skipped];
  const beyond = room * (high - low) || Math.abs(high) * 0.1 || 1;
  return [low < 0 || log ? low - beyond : Math.max(0, low - beyond), high + beyond];
}

// An array of numbers; what is not packed stays what it is.
export const unpacked = (array) => array?.bdata === undefined ? array : new TYPES[array.dtype](bytes(array.bdata).buffer);
