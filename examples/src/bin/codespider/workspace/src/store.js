// Parcels that were asked for lately.
const KEPT_FOR = 10 * 60 * 1000;
const parcels = new Map();

export function findParcel(number) {
  const kept = parcels.get(number);
  if (!kept || kept.until < Date.now()) {
    parcels.delete(number);
    return undefined;
  }
  return kept.parcel;
}

export function keepParcel(number, parcel) {
  parcels.set(number, { parcel, until: Date.now() + KEPT_FOR });
}
