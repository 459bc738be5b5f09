import { createServer } from 'node:http';
import { findParcel } from './store.js';
import { askCarrier } from './carrier.js';

const PARCEL = /^\/parcels\/(\d{12})$/;

// Answers one request: from the store if the parcel is there, else from the carrier.
async function answer(request, response) {
  const match = PARCEL.exec(request.url);
  if (!match) {
    return send(response, 400, { error: 'a parcel has twelve digits' });
  }
  const parcel = findParcel(match[1]) ?? (await askCarrier(match[1]));
  return parcel ? send(response, 200, parcel) : send(response, 404, { error: 'no such parcel' });
}

function send(response, status, document) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(document));
}

createServer(answer).listen(8080);
