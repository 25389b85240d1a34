import jakarta.activation.DataHandler;
import jakarta.mail.Header;
import jakarta.mail.MessagingException;
import jakarta.mail.internet.ContentType;
import jakarta.mail.internet.MimeBodyPart;
import jakarta.mail.internet.MimeMultipart;
import jakarta.mail.internet.MimeUtility;
import jakarta.mail.util.ByteArrayDataSource;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Enumeration;
import java.util.List;

/** Multiparts by Angus Mail, the implementation of Jakarta Mail. */
final class Mail {
    /** A multipart whose Content-Type can be spelled as other engines do. */
    private static final class Spelled extends MimeMultipart {
        Spelled() {
            super("related");
        }

        void spell(Engine.Fields question) throws MessagingException {
            ContentType type = new ContentType(getContentType());
            if (question.has("boundary")) {
                type.setParameter("boundary", question.text("boundary"));
            }
            if (question.has("type")) {
                type.setParameter("type", question.text("type"));
            }
            if (question.has("start")) {
                type.setParameter("start", question.text("start"));
            }
            contentType = MimeUtility.unfold(type.toString()); // HTTP has no folded headers
        }
    }

    private Mail() {}

    /** Returns each part of a multipart: its header fields as they stand, and its decoded body. */
    static Engine.Fields read(Engine.Fields question) throws Exception {
        Engine.Fields answer = new Engine.Fields();
        try {
            MimeMultipart multipart = new MimeMultipart(
                    new ByteArrayDataSource(question.bytes("body"), question.text("content-type")));
            for (int i = 0; i < multipart.getCount(); i++) {
                MimeBodyPart part = (MimeBodyPart) multipart.getBodyPart(i);
                StringBuilder headers = new StringBuilder();
                Enumeration<Header> all = part.getAllHeaders();
                while (all.hasMoreElements()) {
                    Header one = all.nextElement();
                    headers.append(one.getName()).append(": ").append(one.getValue()).append("\n");
                }
                answer.add("headers", headers.toString());
                answer.add("body", part.getInputStream().readAllBytes());
            }
        } catch (MessagingException | IOException refused) {
            throw new Engine.Refused(refused);
        }
        return answer;
    }

    /** Writes a multipart/related of the parts given, the first being the root. */
    static Engine.Fields write(Engine.Fields question) throws Exception {
        Spelled multipart = new Spelled();
        multipart.spell(question);
        if (question.has("preamble")) {
            multipart.setPreamble(question.text("preamble"));
        }
        List<byte[]> bodies = question.all("part-body");
        List<byte[]> headers = question.all("part-headers");
        for (int i = 0; i < bodies.size(); i++) {
            MimeBodyPart part = new MimeBodyPart();
            // The octets as they are, whatever the label says: no handler may turn text into other text.
            part.setDataHandler(new DataHandler(new ByteArrayDataSource(bodies.get(i), "application/octet-stream")));
            for (String line : new String(headers.get(i), StandardCharsets.US_ASCII).split("\n")) {
                int colon = line.indexOf(':');
                String name = line.substring(0, colon);
                part.setHeader(name, MimeUtility.fold(name.length() + 2, line.substring(colon + 2)));
            }
            multipart.addBodyPart(part);
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        multipart.writeTo(out);
        return new Engine.Fields().add("content-type", multipart.getContentType()).add("body", out.toByteArray());
    }
}
