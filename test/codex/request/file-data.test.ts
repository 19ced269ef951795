import { expect, test } from "bun:test";
import { fileDataUrl, fileNameFor } from "../../../src/codex/request/file-data.ts";

test.each([
  ["slides.pptx", "UEsD", "data:application/vnd.openxmlformats-officedocument.presentationml.presentation;base64,UEsD"],
  ["AGENDA.TXT", "SGFy", "data:text/plain;base64,SGFy"],
  ["settings.json", "eyJh", "data:application/json;base64,eyJh"],
  ["no-ending", "JVBE", "data:application/pdf;base64,JVBE"],
  [undefined, "iVBORw0K", "data:image/png;base64,iVBORw0K"],
  [
    "ledger.docx",
    "data:application/octet-stream;base64,UEsD",
    "data:application/vnd.openxmlformats-officedocument.wordprocessingml.document;base64,UEsD",
  ],
  ["a.csv", "data:;base64,YQ==", "data:text/csv;base64,YQ=="],
  ["week.dat", "data:text/calendar;base64,QkVH", "data:text/calendar;base64,QkVH"],
  ["a.pdf", "data:text/plain;base64,YQ==", "data:text/plain;base64,YQ=="],
  ["strange.xyz", "data:application/octet-stream;base64,YQ==", "data:application/octet-stream;base64,YQ=="],
])("a file %p is sent with the type that its name tells (vercel/ai#12842)", (name, data, url) => {
  expect(fileDataUrl(data, name)).toBe(url);
});

test.each([
  ["report.docx", "application/pdf", "report.docx"],
  ["Quarterly v1.2", "text/plain", "Quarterly v1.2.txt"],
  [undefined, "application/pdf", "document.pdf"],
  [undefined, "text/csv", "document.csv"],
  ["notes", "application/x-strange", "notes.pdf"],
])("a file called %p of the type %s is sent as %s", (title, type, name) => {
  expect(fileNameFor(title, type)).toBe(name);
});
