// Arrays as Python packs them (`dashboard/charts/packing.py`).

const TYPES = { i4: Int32Array, f4: Float32Array, f8: Float64Array };

const bytes = (text) => Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

// An array of numbers; what is not packed stays what it is.
export const unpacked = (array) => array?.bdata === undefined ? array : new TYPES[array.dtype](bytes(array.bdata).buffer);
