import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.Security;
import java.util.ArrayList;
import java.util.List;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/**
 * Answers one question after the other until its input ends. A question, and an answer, is a number of fields, each a
 * name and bytes, with lengths in front of all. "refused" in an answer is the library's word about the data; "fault" is
 * a fault of this program or of the question.
 */
public final class Engine {
    /** The fields of a question or an answer, in order; a name may stand several times. */
    static final class Fields {
        final List<String> names = new ArrayList<>();
        final List<byte[]> values = new ArrayList<>();

        Fields add(String name, byte[] value) {
            names.add(name);
            values.add(value);
            return this;
        }

        Fields add(String name, String value) {
            return add(name, value.getBytes(StandardCharsets.UTF_8));
        }

        List<byte[]> all(String name) {
            List<byte[]> found = new ArrayList<>();
            for (int i = 0; i < names.size(); i++) {
                if (names.get(i).equals(name)) {
                    found.add(values.get(i));
                }
            }
            return found;
        }

        byte[] bytes(String name) {
            List<byte[]> found = all(name);
            if (found.size() != 1) {
                throw new IllegalArgumentException(found.size() + " fields of the name " + name);
            }
            return found.get(0);
        }

        String text(String name) {
            return new String(bytes(name), StandardCharsets.UTF_8);
        }

        boolean has(String name) {
            return names.contains(name);
        }
    }

    /** The data is refused by the library that was asked; the cause says which of its exceptions it was. */
    static final class Refused extends Exception {
        private static final long serialVersionUID = 1;

        Refused(String why) {
            super(why);
        }

        Refused(Exception cause) {
            super(cause.getClass().getSimpleName() + ": " + cause.getMessage());
        }
    }

    private Engine() {}

    public static void main(String[] arguments) throws IOException {
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));
        System.setOut(new PrintStream(System.err, true)); // what a library prints must not stand between answers
        Security.addProvider(new BouncyCastleProvider());
        org.apache.xml.security.Init.init();
        while (true) {
            Fields question;
            try {
                question = read(in);
            } catch (EOFException end) {
                return;
            }
            Fields answer;
            try {
                answer = answer(question);
            } catch (Refused refused) {
                answer = new Fields().add("refused", refused.getMessage());
            } catch (Exception | Error fault) {
                fault.printStackTrace();
                answer = new Fields().add("fault", fault.toString());
            }
            write(out, answer);
        }
    }

    private static Fields answer(Fields question) throws Exception {
        switch (question.text("do")) {
            case "versions":
                return versions();
            case "sign":
                return Signatures.sign(question);
            case "verify":
                return Signatures.verify(question);
            case "seal":
                return Sealing.seal(question);
            case "open":
                return Sealing.open(question);
            case "write-mail":
                return Mail.write(question);
            case "read-mail":
                return Mail.read(question);
            default:
                throw new IllegalArgumentException("no such question: " + question.text("do"));
        }
    }

    /** Tells what is really on the class path: the names of the jars. */
    private static Fields versions() {
        Fields answer = new Fields().add("java", System.getProperty("java.version"));
        for (Class<?> one : List.of(
                org.apache.xml.security.Init.class,
                org.bouncycastle.cms.CMSEnvelopedData.class,
                jakarta.mail.internet.MimeMultipart.class,
                org.eclipse.angus.mail.util.BASE64DecoderStream.class)) {
            String jar = one.getProtectionDomain().getCodeSource().getLocation().getPath();
            answer.add("jar", jar.substring(jar.lastIndexOf('/') + 1).replace(".jar", ""));
        }
        return answer;
    }

    private static Fields read(DataInputStream in) throws IOException {
        Fields fields = new Fields();
        for (int left = in.readInt(); left > 0; left--) {
            String name = new String(readBytes(in), StandardCharsets.UTF_8);
            fields.add(name, readBytes(in));
        }
        return fields;
    }

    private static byte[] readBytes(DataInputStream in) throws IOException {
        byte[] bytes = new byte[in.readInt()];
        in.readFully(bytes);
        return bytes;
    }

    private static void write(DataOutputStream out, Fields fields) throws IOException {
        out.writeInt(fields.names.size());
        for (int i = 0; i < fields.names.size(); i++) {
            byte[] name = fields.names.get(i).getBytes(StandardCharsets.UTF_8);
            out.writeInt(name.length);
            out.write(name);
            out.writeInt(fields.values.get(i).length);
            out.write(fields.values.get(i));
        }
        out.flush();
    }
}
